"""What an edit costs through our adapters, beside the same request by aiohttp alone."""
