"""The background process that holds the forwards of attachments: a small asyncio program."""
