"""The LightningModule, its optimizer and its callbacks."""
