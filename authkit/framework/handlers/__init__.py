"""Handlers of an author: the decorators, their parameters, and what they may return."""
