"""The API's description as one page to be read: plain HTML, no script, nothing from elsewhere. Pure."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from importlib.resources import files
from typing import Any

Described = Mapping[str, Any]

_STYLE = files("bucketzip.web").joinpath("reference.css").read_text()
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_METHODS = ("get", "head", "post", "put", "patch", "delete")


def page(described: Described) -> str:
    """The page of an OpenAPI 3.1 description, whose references are all to its own components."""
    return _Reference(described).page()


class _Reference:
    def __init__(self, described: Described) -> None:
        self._described = described

    def page(self) -> str:
        info = self._described["info"]
        title = f"{info['title']} {info['version']}"
        groups = {
            tag["name"]: (tag.get("description", ""), self._operations(tag["name"])) for tag in self._described["tags"]
        }
        schemas = self._described["components"]["schemas"]
        contents = "".join(
            f"<h2>{escape(name)}</h2><ul>{''.join(self._entry(*each) for each in operations)}</ul>"
            for name, (_, operations) in groups.items()
        )
        contents += "<h2>Schemas</h2><ul>" + "".join(f"<li>{_schema_link(name)}</li>" for name in schemas) + "</ul>"
        sections = "".join(
            f"<section><h2>{escape(name)}</h2>{_text(told)}{''.join(self._operation(*one) for one in inside)}</section>"
            for name, (told, inside) in groups.items()
        )
        shown = "".join(self._schema(name, schema) for name, schema in schemas.items())
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(title)}: API</title><style>{_STYLE}</style></head>"
            f"<body><header><h1>{escape(title)}</h1>{_text(info['summary'])}{_text(info['description'])}"
            '<p>For programs: <a href="openapi.yaml">openapi.yaml</a></p></header>'
            f'<nav aria-label="Contents">{contents}</nav>'
            f"<main>{sections}<section><h2>Schemas</h2>{shown}</section></main></body></html>"
        )

    def _operations(self, tag: str) -> list[tuple[str, str, Described, list[Described]]]:
        """Method, path, operation and all of its parameters."""
        return [
            (method, path, item[method], [*item.get("parameters", []), *item[method].get("parameters", [])])
            for path, item in self._described["paths"].items()
            for method in _METHODS
            if method in item and tag in item[method]["tags"]
        ]

    def _entry(self, method: str, path: str, operation: Described, _: list[Described]) -> str:
        return f'<li><a href="#{escape(operation["operationId"])}">{_method(method)} {escape(path)}</a></li>'

    def _operation(self, method: str, path: str, operation: Described, parameters: list[Described]) -> str:
        parts = [
            f'<article id="{escape(operation["operationId"])}"><h3>{_method(method)} {escape(path)}</h3>',
            _text(operation["summary"]),
            _text(operation.get("description", "")),
        ]
        if parameters:
            rows = (
                self._row(
                    each["name"],
                    each["schema"],
                    f"In the {each['in']}. {each.get('description', '')}",
                    required=each.get("required", False),
                )
                for each in map(self._resolved, parameters)
            )
            parts.append(f"<h4>Parameters</h4>{_table(rows)}")
        if "requestBody" in operation:
            body = operation["requestBody"]
            parts.append(f"<h4>Body</h4>{_text(body.get('description', ''))}{self._content(body)}")
        answers = "".join(self._answer(status, self._resolved(each)) for status, each in operation["responses"].items())
        return "".join([*parts, f"<h4>Answers</h4>{answers}</article>"])

    def _answer(self, status: str, response: Described) -> str:
        headers = response.get("headers", {})
        rows = [
            self._row(name, head.get("schema", {}), head.get("description", ""))
            for name, head in ((name, self._resolved(each)) for name, each in headers.items())
        ]
        inside = (_table(iter(rows)) if rows else "") + self._content(response)
        summary = f"<code>{escape(status)}</code> {_inline(response['description'])}"
        return f"<details><summary>{summary}</summary>{inside}</details>" if inside else f"<p>{summary}</p>"

    def _content(self, holder: Described) -> str:
        parts = []
        for kind, media in holder.get("content", {}).items():
            schema = media.get("schema", {})
            parts.append(f"<p><code>{escape(kind)}</code> {self._type(schema)}</p>")
            for name, each in media.get("examples", {}).items():
                example = self._resolved(each)
                value = example["value"]
                text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
                head = f"<summary>Example: {escape(example.get('summary', name))}</summary>"
                parts.append(f"<details>{head}<pre><code>{escape(text)}</code></pre></details>")
        return "".join(parts)

    def _schema(self, name: str, schema: Described) -> str:
        fields = schema.get("properties", {})
        required = schema.get("required", [])
        rows = (
            self._row(field, each, each.get("description", ""), required=field in required)
            for field, each in fields.items()
        )
        body = _table(rows) if fields else f"<p>{self._type(schema)}</p>"
        head = f"<h3>{escape(name)}</h3>{_text(schema.get('description', ''))}"
        return f'<article id="schema-{escape(name)}">{head}{body}</article>'

    def _row(self, name: str, schema: Described, told: str, *, required: bool = False) -> str:
        needed = ' <span class="needed">required</span>' if required else ""
        return (
            f"<tr><td><code>{escape(name)}</code>{needed}</td><td>{self._type(schema)}</td><td>{_text(told)}</td></tr>"
        )

    def _type(self, schema: Described) -> str:
        """In a few words, bounds and default included."""
        if "$ref" in schema:
            return _schema_link(schema["$ref"].rpartition("/")[2])
        if "anyOf" in schema:
            kind = " or ".join(map(self._type, schema["anyOf"]))
        elif "enum" in schema or "const" in schema:
            values = schema.get("enum") or [schema["const"]]
            kind = ", ".join(f"<code>{escape(str(value))}</code>" for value in values)
        else:
            kinds = schema.get("type", "anything")
            kind = escape(" or ".join(kinds) if isinstance(kinds, list) else kinds)
        if "items" in schema:
            kind += f" of {self._type(schema['items'])}"
        facts = list(_bounds(schema))
        return kind + (f" <small>({escape('; '.join(facts))})</small>" if facts else "")

    def _resolved(self, described: Described) -> Described:
        while "$ref" in described:
            found: Any = self._described
            for part in described["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            described = found
        return described


def _bounds(schema: Described) -> Iterator[str]:
    for least, most, unit in (
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " items"),
    ):
        low, high = schema.get(least), schema.get(most)
        if low is not None and high is not None:
            yield f"{low:,} to {high:,}{unit}"
        elif low is not None:
            yield f"{low:,} or more{unit}"
        elif high is not None:
            yield f"up to {high:,}{unit}"
    if schema.get("format"):
        yield str(schema["format"])
    if schema.get("default") not in (None, [], {}):
        yield f"default {json.dumps(schema['default'])}"


def _method(method: str) -> str:
    return f'<span class="method {method}">{method.upper()}</span>'


def _schema_link(name: str) -> str:
    return f'<a href="#schema-{escape(name)}">{escape(name)}</a>'


def _table(rows: Iterator[str]) -> str:
    return f'<div class="wide"><table>{"".join(rows)}</table></div>'


def _text(told: str) -> str:
    """Paragraphs; what stands between backticks is code."""
    return "".join(f"<p>{_inline(each)}</p>" for each in told.strip().split("\n\n") if each)


def _inline(told: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(" ".join(told.split())))
