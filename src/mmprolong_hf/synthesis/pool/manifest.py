"""The columns of the pool: a row is a document that was scanned."""

import pyarrow as pa

MANIFEST_SCHEMA = pa.schema(
    {
        "doc_id": pa.string(),  # sha256 of the file
        "source": pa.string(),
        "bytes": pa.int64(),
        "num_pages": pa.int32(),
        "dpi": pa.int32(),
        "page_sizes": pa.list_(pa.list_(pa.int32())),  # (width, height) in pixels of each page at that dpi
        "page_tokens": pa.int64(),  # of all pages, under Qwen2.5-VL's limits
        "characters": pa.int64(),  # of all pages, white space counted once
        "language": pa.string(),  # ISO 639-1, "und" where it cannot be told
        "language_confidence": pa.float32(),
        "outline_entries": pa.int32(),
        "scanned_pages": pa.int32(),  # images without text
        "repeated_pages": pa.int32(),  # that say what an earlier page says
        "flags": pa.list_(pa.string()),  # of FLAGS
    }
)
# What a row holds besides, for comparing: about 0.9 KB a page of prose. `select` does not pass it on.
FINGERPRINTS = pa.schema(
    {
        "minhash": pa.binary(),  # shingles.signature of all words, or of the page images where there are none
        "page_shingles": pa.list_(pa.binary()),  # shingles.sample of each page, 8 bytes each
        "page_images": pa.binary(),  # page_image.hash_image of each page, 32 bytes each
    }
)
POOL_SCHEMA = pa.schema([*MANIFEST_SCHEMA, *FINGERPRINTS])
# restricted: it opens without a password, but its author does not permit to copy text. form: it holds fields to fill
# in. xfa: a form that PDFium cannot show; its pages may only ask for another reader.
FLAGS = ("restricted", "form", "xfa")
