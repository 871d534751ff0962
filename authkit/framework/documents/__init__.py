"""What a backend says about itself: help pages and OpenAPI documents."""
