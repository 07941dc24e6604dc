"""The configuration: one YAML file that becomes typed, checked, frozen settings."""
