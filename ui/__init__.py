"""What the pages share: controls bound to the link, cached reports, and how charts are shown."""
