"""Texts that operators and their scripts know from the official plugin."""
