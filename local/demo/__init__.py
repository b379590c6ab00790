"""The main job on real data: files are dropped, scored by real models, and the results checked."""
