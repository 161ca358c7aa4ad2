"""The DeepSeek chat-completion API: its stream decoder, its wire types, its client."""
