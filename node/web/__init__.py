"""The edge towards browsers and programs: pages and the HTTP API."""
