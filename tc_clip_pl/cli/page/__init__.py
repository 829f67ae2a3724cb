"""`tcclip demo`: a local web page that answers for one's own video and words.

- `command`: the options, the server and its end.
- `layout`: what stands where on the page.
- `request`: what is computed for one video, and its limits.
- `timeline`: segments as HTML.
"""
