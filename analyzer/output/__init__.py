"""Diagnosis → bytes: terminal, JSON, Markdown, HTML."""
