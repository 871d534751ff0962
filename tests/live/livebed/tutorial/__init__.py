"""The pages of the tutorial, done as a reader does them. docs/architecture.md has the rules for pages."""
