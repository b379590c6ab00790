"""How Landfall gets into Azure. Nothing of it is deployed into the app."""
