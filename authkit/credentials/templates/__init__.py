"""Text templates as operators write them for a server: the part of Go's text/template that user names need.

Supported are text, trim markers, comments, the fields of the data, whole numbers, strings and booleans,
function calls with arguments, parentheses, pipelines, and `if` and `with` with their `else`. Functions:
`authkit.credentials.templates.functions`. Everything else, such as variables and `range`, is refused when
the template is parsed.

Differences from Go, all of them on the safe side:

- Values are Unicode text. `truncate` leaves out a character that does not fit in whole, where Go cuts it in
  two; a result that is not UTF-8 (`decode_hex`, `"\\xff"`) is an error.
- `printf` fails where Go puts a complaint such as `%!d(string=x)` into the text, but for missing arguments.
- Sizes are bounded: `MAX_TEMPLATE`, `MAX_DEPTH`, `MAX_VALUE`, `MAX_WORK`.

Source: Go 1.26, text/template; Vault SDK 0.21, helper/template. `tests/live/test_go_templates.py` compares
the results with Go's.
"""

from authkit.credentials.templates.errors import MAX_DEPTH, MAX_TEMPLATE, MAX_VALUE, MAX_WORK, TemplateError
from authkit.credentials.templates.printf import MISSING
from authkit.credentials.templates.randomness import MIN_RANDOM, count_random
from authkit.credentials.templates.template import Template

__all__ = [
    "MAX_DEPTH",
    "MAX_TEMPLATE",
    "MAX_VALUE",
    "MAX_WORK",
    "MIN_RANDOM",
    "MISSING",
    "Template",
    "TemplateError",
    "count_random",
]
