"""The adapter of a run: JSON under a schema where the engine constrains decoding, the chat format elsewhere.

Everything of ours that touches DSPy's adapter interface is in this file.
"""

import json
import re
from typing import Any, cast
from weakref import WeakKeyDictionary

import dspy
from dspy.adapters.utils import get_annotation_name
from dspy.utils.exceptions import AdapterParseError
from pydantic import ConfigDict, create_model
from pydantic_core import to_jsonable_python

__all__ = ["AutoAdapter", "SchemaAdapter", "default_adapter", "response_schema"]

_SURROGATE = re.compile("[\ud800-\udfff]")


def response_schema(signature: type[dspy.Signature]) -> dict[str, Any]:
    """The JSON schema of a signature's outputs, every field required and no other allowed.

    Args:
        signature: A signature whose output fields have JSON types.

    Raises:
        pydantic.PydanticInvalidForJsonSchema: A type has no JSON schema.
    """
    fields: dict[str, Any] = {
        name: (field.rebuild_annotation(), ...) for name, field in signature.output_fields.items()
    }
    model = create_model("Outputs", __config__=ConfigDict(extra="forbid"), **fields)
    schema = model.model_json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        if part.get("type") == "object" and "properties" in part:
            part["required"], part["additionalProperties"] = list(part["properties"]), False
    return schema


class SchemaAdapter(dspy.JSONAdapter):
    """DSPy's JSON adapter with the prompt unchanged and the costly parts built once per signature.

    The system message and the response schema depend on the signature alone, so both are remembered by the signature
    class; the message also by the instructions, the one part of a signature that DSPy changes in place.
    """

    def __init__(self) -> None:
        super().__init__(use_native_function_calling=False)
        self._systems: WeakKeyDictionary[Any, tuple[str, str]] = WeakKeyDictionary()
        self._formats: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()

    def format_system_message(self, signature: type[dspy.Signature]) -> str:
        instructions, message = self._systems.get(signature, (None, ""))
        if instructions != signature.instructions:
            message = super().format_system_message(signature)
            self._systems[signature] = (signature.instructions, message)
        return message

    def parse(self, signature: type[dspy.Signature], completion: str) -> dict[str, Any]:
        r"""What DSPy reads, unless it holds half of a character: JSON can say `"\ud83d"`, no file and no LM takes it.

        Raises:
            AdapterParseError: The completion does not fit the signature, or its text is not valid Unicode.
        """
        fields = super().parse(signature, completion)
        if "\\u" in completion and _SURROGATE.search(json.dumps(to_jsonable_python(fields), ensure_ascii=False)):
            raise AdapterParseError(
                adapter_name=type(self).__name__,
                signature=cast(Any, signature),  # DSPy annotates the object, and is given the class everywhere
                lm_response=completion,
                message="The reply is not valid Unicode: it holds half of a character.",
            )
        return fields

    def _prepare_response_format(self, lm: Any, lm_kwargs: dict[str, Any], signature: type[dspy.Signature]) -> None:
        if not lm.supports_response_schema:
            return super()._prepare_response_format(lm, lm_kwargs, signature)
        if signature not in self._formats:
            self._formats[signature] = {
                "type": "json_schema",
                "json_schema": {"name": "outputs", "strict": True, "schema": response_schema(signature)},
            }
        lm_kwargs["response_format"] = self._formats[signature]
        return None

    def __deepcopy__(self, memo: dict[int, Any]) -> "SchemaAdapter":
        return SchemaAdapter()


class AutoAdapter(dspy.Adapter):
    """Chooses by LM: JSON under a schema where the engine constrains decoding, DSPy's chat format elsewhere.

    The chat format does not fall back to a second call, so one attempt is one LM call.
    """

    def __init__(self) -> None:
        super().__init__()
        self.schema = SchemaAdapter()
        self.chat = dspy.ChatAdapter(use_json_adapter_fallback=False)

    def choose(self, lm: Any) -> dspy.Adapter:
        """The adapter for an LM."""
        return self.schema if lm.supports_response_schema else self.chat

    def __call__(self, lm: Any, *args: Any, **kwargs: Any) -> list[dict[str, Any]]:
        return self.choose(lm)(lm, *args, **kwargs)

    async def acall(self, lm: Any, *args: Any, **kwargs: Any) -> list[dict[str, Any]]:
        return await self.choose(lm).acall(lm, *args, **kwargs)


def default_adapter() -> dspy.Adapter:
    """The user's adapter if one is configured in DSPy, else an `AutoAdapter`."""
    return dspy.settings.adapter or AutoAdapter()


def type_name(annotation: Any) -> str:
    """A field's type as a person reads it, such as `list[str]`."""
    return get_annotation_name(annotation)
