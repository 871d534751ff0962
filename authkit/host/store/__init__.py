"""What a host keeps: tokens, identity, policies, the plugin catalog. Plain records and their tables."""
