"""A function's signature as a codec: arguments to JSON when enqueued, back to arguments in the worker.

Pydantic validates on both sides, from the annotations.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic.experimental.arguments_schema import generate_arguments_schema
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import ArgsKwargs, PydanticSerializationError, SchemaError, SchemaValidator
from pydantic_core.core_schema import CoreConfig

from distq.checks import shown
from distq.errors import ConfigurationError, InvalidArguments, InvalidResult
from distq.messages import arguments_of, encode_value

_CONFIG = ConfigDict(arbitrary_types_allowed=False, val_json_bytes="base64", ser_json_bytes="base64")
_CORE_CONFIG = CoreConfig(val_json_bytes="base64")
_UNUSABLE = (PydanticUserError, SchemaError, NameError)


class Signature:
    """Encodes and decodes the calls of one function. Annotations are resolved on first use."""

    def __init__(self, task: str, function: Callable[..., Any]) -> None:
        self._task = task
        self._function = function
        parameters = self._parameters()
        self._positional = [
            p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        self._rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "")
        self._named = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        self._extra = next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), "")
        self._open = bool(self._rest or self._extra)
        variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        self.required = [p.name for p in parameters if p.default is p.empty and p.kind not in variadic]
        """The parameters without a default."""

    def _parameters(self) -> list[inspect.Parameter]:
        try:
            return list(inspect.signature(self._function).parameters.values())
        except ValueError:
            raise ConfigurationError(
                f"task {self._task!r}: {shown(self._function)} has no signature; wrap it in a function"
            ) from None

    @cached_property
    def _validator(self) -> SchemaValidator:
        try:
            schema = generate_arguments_schema(self._function, config=_CONFIG)
            return SchemaValidator(schema, _CORE_CONFIG)
        except _UNUSABLE as error:
            raise self._unusable("cannot be enqueued", error) from error

    @cached_property
    def _result(self) -> TypeAdapter[Any]:
        try:
            hint = inspect.get_annotations(self._function, eval_str=True).get("return", Any)
            return TypeAdapter(hint, config=None if _has_own_config(hint) else _CONFIG)
        except _UNUSABLE as error:
            raise self._unusable("has a return annotation that cannot be read", error) from error

    def json_schema(self) -> dict[str, Any]:
        """A JSON schema of the arguments by name. Raises ConfigurationError for what JSON cannot say."""
        try:
            schema = generate_arguments_schema(self._function, config=_CONFIG)
            return GenerateJsonSchema().generate(schema)
        except _UNUSABLE as error:
            raise self._unusable("has arguments that no JSON schema describes", error) from error

    def _unusable(self, what: str, error: Exception) -> ConfigurationError:
        reason = error.message if isinstance(error, PydanticUserError) else str(error).splitlines()[-1]
        return ConfigurationError(f"task {self._task!r} {what}: {reason.splitlines()[0].strip()}")

    def encode(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
        """The arguments of a call as JSON. Raises InvalidArguments."""
        try:
            call = ArgsKwargs(args, dict(kwargs) if kwargs else None)
            positional, named = self._validator.validate_python(call)
            if named or self._open:
                return encode_value(self._by_name(positional, named))
            return encode_value(dict(zip(self._positional, positional, strict=False)))
        except (ValidationError, PydanticSerializationError) as error:
            raise InvalidArguments(self._task, self._problems(error)) from error

    def _by_name(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = dict(zip(self._positional, args, strict=False))
        if self._rest:
            values[self._rest] = args[len(self._positional) :]
        if self._extra:
            values[self._extra] = {key: value for key, value in kwargs.items() if key not in self._named}
        if kwargs:
            values.update({key: value for key, value in kwargs.items() if key in self._named})
        return values

    def decode(self, payload: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of a payload. Raises InvalidArguments."""
        try:
            return self._validator.validate_json(arguments_of(payload))
        except (ValidationError, ValueError) as error:
            raise InvalidArguments(self._task, self._problems(error)) from error

    def _problems(self, error: Exception) -> str:
        if not isinstance(error, ValidationError):
            return " ".join(str(error).split())
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        return "; ".join(f"{self._place(problem['loc'])}: {problem['msg']}" for problem in problems)

    def _place(self, location: tuple[int | str, ...]) -> str:
        first, *deeper = location or ("call",)
        if isinstance(first, int) and first < len(self._positional):
            first = self._positional[first]
        return ".".join(map(str, [first, *deeper]))

    def decode_result(self, job_id: str, body: bytes) -> Any:
        """A job's result, as the type that the function's return annotation names. Raises InvalidResult."""
        try:
            return self._result.validate_json(body) if body else None
        except ValidationError as error:
            problems = "; ".join(f"{_dotted(p['loc'])}{p['msg']}" for p in error.errors(include_url=False))
            raise InvalidResult(job_id, self._task, problems) from error


def _dotted(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location)) + ": " if location else ""


def _has_own_config(hint: Any) -> bool:
    try:
        TypeAdapter(hint, config=_CONFIG)
    except PydanticUserError:
        return True
    return False
