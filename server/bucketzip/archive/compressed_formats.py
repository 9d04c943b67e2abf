"""Formats that are compressed already, by the extension of a name.

Only what is so by its own definition (deflate in PNG and ZIP, Huffman or arithmetic codes in JPEG, a codec in audio and
video), and what is a ZIP by another name (Office, OpenDocument, Java, Android, EPUB). What may be or may not, such as
PDF, TIFF, ISO or Parquet, is not named: a look at its content tells more.
"""

_PICTURES = "avif gif heic heif jfif jpe jpeg jpg jp2 jxl png webp"
_AUDIO = "aac flac m4a mp3 oga ogg opus wma"
_VIDEO = "3g2 3gp flv m4v mkv mov mp4 mpeg mpg webm wmv"
_COMPRESSED = "7z br bz2 gz lz lz4 lzma lzo rar sz tbz2 tgz txz xz z zip zst"
_ZIPS = "aar apk docx ear epub ipa jar kmz npz odp ods odt pptx usdz war whl xlsx xpi"
_PACKAGES = "cab deb rpm woff woff2"

_EXTENSIONS = frozenset(
    extension.encode()
    for group in (_PICTURES, _AUDIO, _VIDEO, _COMPRESSED, _ZIPS, _PACKAGES)
    for extension in group.split()
)


def is_compressed(name: bytes) -> bool:
    """Whether a file of this name (UTF-8) is of such a format."""
    _, dot, extension = name.rpartition(b"/")[2].rpartition(b".")
    return dot == b"." and extension.lower() in _EXTENSIONS
