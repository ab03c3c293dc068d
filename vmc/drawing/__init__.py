"""Pictures of layouts: what each cell of a tile says, its colour, and the SVG."""
