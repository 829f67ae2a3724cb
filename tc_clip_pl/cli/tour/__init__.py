"""`tcclip tour`: generated videos, a frame-wise baseline beside TC-CLIP, and one page that shows what they learned."""
