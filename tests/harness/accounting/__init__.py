"""Mail that is accounted for: who sends it, what they are told, and what arrives of it."""
