"""Programs for those who work on the service; nothing here is deployed."""
