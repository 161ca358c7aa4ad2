"""Discord: gateway events and interactions in, messages rewritten in place out."""
