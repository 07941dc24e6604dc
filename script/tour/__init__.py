"""A guided tour: real mails through a real Postfix with gatepost's daemons, and what became of each."""
