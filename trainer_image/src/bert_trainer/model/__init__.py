"""BERT's graph, its pre-trained weights and its optimizer."""
