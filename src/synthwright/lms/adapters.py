"""The adapter of a run: JSON under a schema where the engine constrains decoding, the chat format elsewhere.

Everything of ours that touches DSPy's adapter interface is in this file.
"""

import enum
import json
import re
from typing import Any, Literal, cast, get_args, get_origin
from weakref import WeakKeyDictionary

import dspy
from dspy.adapters.types.base_type import CUSTOM_TYPE_START_IDENTIFIER
from dspy.adapters.utils import format_field_value, get_annotation_name
from dspy.predict.predict import _is_value_compatible_with_type
from dspy.utils.constants import IS_TYPE_UNDEFINED
from dspy.utils.exceptions import AdapterParseError
from pydantic import ConfigDict, TypeAdapter, create_model
from pydantic_core import to_jsonable_python

from synthwright.lms.metered import MeteredLM

__all__ = ["AutoAdapter", "SchemaAdapter", "default_adapter", "response_schema"]

_PRIVILEGED = {"signature", "demos", "config", "lm", "prediction", "new_signature", "_trace"}
"""Arguments of a predictor that are not inputs."""

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


class _Plan:
    """What of a signature's prompts and replies can be known before the call."""

    def __init__(self, signature: type[dspy.Signature]) -> None:
        self.inputs = list(signature.input_fields.items())
        self.outputs = {name: field.annotation for name, field in signature.output_fields.items()}
        annotations = [field.annotation for field in signature.fields.values()]
        self.plain = not any(_holds_dspy_type(annotation) for annotation in annotations)
        self.validators = {
            name: TypeAdapter(cast(Any, annotation))
            for name, annotation in self.outputs.items()
            if self.plain and annotation is not str and get_origin(annotation) is not Literal
        }
        self.allowed = {name: get_args(a) for name, a in self.outputs.items() if get_origin(a) is Literal}
        self.response_format: dict[str, Any] | None = None
        self.instructions: str | None = ""
        self.system: dict[str, Any] = {}
        self.requirements = ""
        self.heads: list[tuple[list[dict[str, Any]], list[dict[str, Any]]]] = []  # demonstrations, messages with them
        self.names = signature.input_fields.keys()
        self.annotations: list[tuple[str, Any]] = [
            (name, field.annotation) for name, field in self.inputs if not _untyped(field)
        ]
        self.direct = self.plain and not _PRIVILEGED & self.names


class SchemaAdapter(dspy.JSONAdapter):
    """DSPy's JSON adapter with the prompt unchanged and all that depends on the signature alone built once.

    The system message, the response schema, the type adapters and the messages of demonstrations are remembered by the
    signature class; the message also by the instructions, the one part of a signature that DSPy changes in place.
    Signatures with DSPy's own types (images, tools, history) take DSPy's way through.

    Args:
        reminder: Whether the message ends with DSPy's reminder of the output format. The schema makes it superfluous,
            and demonstrations do not have it: a weak LM writes about it, or runs on (measured on the embedded LM:
            13 of 24 evolutions kept instead of 7, a third fewer tokens written).
    """

    def __init__(self, reminder: bool = True) -> None:
        super().__init__(use_native_function_calling=False)
        self.reminder = reminder
        self._plans: WeakKeyDictionary[Any, _Plan] = WeakKeyDictionary()

    def _plan(self, signature: type[dspy.Signature]) -> _Plan:
        plan = self._plans.get(signature)
        if plan is None:
            plan = self._plans[signature] = _Plan(signature)
        return plan

    async def acall(
        self, lm: Any, lm_kwargs: dict[str, Any], signature: Any, demos: list[dict[str, Any]], inputs: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """One call. Where nobody listens to the adapter, without the three nested planning scopes of DSPy's."""
        if not self._plan(signature).plain or not isinstance(lm, MeteredLM) or not lm.unobserved():
            return await super().acall(lm, lm_kwargs, signature, demos, inputs)
        return await self.ask(lm, lm_kwargs, signature, demos, inputs)

    def takes(self, signature: Any, inputs: dict[str, Any]) -> bool:
        """Whether inputs are all that a signature wants, of its types, and nothing that DSPy would warn of or read."""
        plan = self._plan(signature)
        if not plan.direct or inputs.keys() != plan.names:
            return False
        # DSPy's own check, although it is private: by any other rule, a call that it warns of would go unwarned
        return all(
            type(inputs[name]) is str if annotation is str else _is_value_compatible_with_type(inputs[name], annotation)
            for name, annotation in plan.annotations
        )

    async def ask(
        self,
        lm: MeteredLM,
        lm_kwargs: dict[str, Any],
        signature: Any,
        demos: list[dict[str, Any]],
        inputs: dict[str, Any],
        caller: int | None = None,
    ) -> list[dict[str, Any]]:
        """A call that nobody observes.

        Args:
            lm: The LM.
            lm_kwargs: Sampling arguments of the call.
            signature: A signature of plain types.
            demos: Demonstrations.
            inputs: Input fields.
            caller: The `id` of the predictor, for calls that DSPy does not know of.
        """
        self._prepare_response_format(lm, lm_kwargs, signature)
        plan = self._plan(signature)
        content = self._user_message(plan, signature, inputs)
        if content is None:
            outputs = await lm.answer(self.format(signature, demos, inputs), lm_kwargs, caller)
        else:
            outputs = await lm.answer_turn(self._head(plan, signature, demos), content, lm_kwargs, caller)
        if not all(isinstance(output, str) and output for output in outputs):
            return self._call_postprocess(signature, signature, outputs, lm, lm_kwargs)
        return [self.parse(signature, output) for output in outputs]

    def format(self, signature: Any, demos: list[dict[str, Any]], inputs: dict[str, Any]) -> list[dict[str, Any]]:
        plan = self._plan(signature)
        content = self._user_message(plan, signature, inputs) if plan.plain else None
        if content is None:
            return super().format(signature, demos, inputs)
        return [*self._head(plan, signature, demos), {"role": "user", "content": content}]

    def _head(self, plan: _Plan, signature: Any, demos: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The messages before the inputs: the same list for equal demonstrations, of which the last few are known."""
        if plan.instructions is not signature.__doc__ or not plan.system:  # its property cleans the text every time
            plan.system = {"role": "system", "content": self.format_system_message(signature)}
            plan.instructions = signature.__doc__
            plan.heads = []
        content = [dict(demo) for demo in demos] if demos else []
        for known, messages in plan.heads:
            if known == content:
                return messages
        head = [plan.system, *(self.format_demos(signature, demos) if demos else ())]
        plan.heads = [(content, head), *plan.heads[:7]]
        return head

    def _user_message(self, plan: _Plan, signature: Any, inputs: dict[str, Any]) -> str | None:
        """The message of DSPy, for text, numbers and lists of text; None for what only DSPy can write."""
        parts = []
        for name, field in plan.inputs:
            if name in inputs:
                value = inputs[name]
                if type(value) is str or type(value) is int or type(value) is bool:
                    parts.append(f"[[ ## {name} ## ]]\n{value}")
                else:
                    parts.append(f"[[ ## {name} ## ]]\n{format_field_value(field_info=field, value=value)}")
        if self.reminder:
            plan.requirements = plan.requirements or self.user_message_output_requirements(signature)
            parts.append(plan.requirements)
        content = "\n\n".join(parts).strip()
        return None if CUSTOM_TYPE_START_IDENTIFIER in content else content

    def parse(self, signature: type[dspy.Signature], completion: str) -> dict[str, Any]:
        r"""What DSPy reads, unless it holds half of a character: JSON can say `"\ud83d"`, no file and no LM takes it.

        Raises:
            AdapterParseError: The completion does not fit the signature, or its text is not valid Unicode.
        """
        fields = self._read(self._plan(signature), completion)
        if fields is None:
            fields = super().parse(signature, completion)
        if "\\u" in completion and _SURROGATE.search(json.dumps(to_jsonable_python(fields), ensure_ascii=False)):
            raise AdapterParseError(
                adapter_name=type(self).__name__,
                signature=cast(Any, signature),  # DSPy annotates the object, and is given the class everywhere
                lm_response=completion,
                message="The reply is not valid Unicode: it holds half of a character.",
            )
        return fields

    def _read(self, plan: _Plan, completion: str) -> dict[str, Any] | None:
        """The fields of a reply that is exactly what the schema says; None leaves it to DSPy's repairs."""
        try:
            found = json.loads(completion)
        except ValueError:
            return None
        if not plan.plain or not isinstance(found, dict) or found.keys() != plan.outputs.keys():
            return None
        fields = {}
        for name, annotation in plan.outputs.items():
            value = found[name]
            if annotation is str:
                value = str(value)
            elif name in plan.allowed:
                if value not in plan.allowed[name]:
                    return None
            elif isinstance(value, str):
                return None  # DSPy looks for JSON in text
            else:
                try:
                    value = plan.validators[name].validate_python(value)
                except ValueError:
                    return None
            fields[name] = value
        return fields

    def _prepare_response_format(self, lm: Any, lm_kwargs: dict[str, Any], signature: type[dspy.Signature]) -> None:
        if not lm.supports_response_schema:
            return super()._prepare_response_format(lm, lm_kwargs, signature)
        plan = self._plan(signature)
        if plan.response_format is None:
            plan.response_format = {
                "type": "json_schema",
                "json_schema": {"name": "outputs", "strict": True, "schema": response_schema(signature)},
            }
        lm_kwargs["response_format"] = plan.response_format
        return None

    def __reduce__(self) -> tuple[Any, ...]:
        return SchemaAdapter, (self.reminder,)  # copies, in other processes too, build their own plans


def _untyped(field: Any) -> bool:
    """Whether a signature names no type for a field, so that any value fits."""
    return bool(field.json_schema_extra.get(IS_TYPE_UNDEFINED, False))


def _holds_dspy_type(annotation: Any) -> bool:
    """Whether DSPy treats a field's type in its own way: images, tools, history, reasoning, and the like."""
    if isinstance(annotation, type) and not get_args(annotation):
        return issubclass(annotation, (dspy.Type, dspy.History, enum.Enum))
    return any(_holds_dspy_type(part) for part in get_args(annotation) if not isinstance(part, str))


class AutoAdapter(dspy.Adapter):
    """Chooses by LM: JSON under a schema where the engine constrains decoding, DSPy's chat format elsewhere.

    The prompts are DSPy's, but for weak LMs under a schema, which get no reminder of the format. The chat format does
    not fall back to a second call, so one attempt is one LM call.
    """

    def __init__(self) -> None:
        super().__init__()
        self.schema, self.brief = SchemaAdapter(), SchemaAdapter(reminder=False)
        self.chat = dspy.ChatAdapter(use_json_adapter_fallback=False)

    def choose(self, lm: Any) -> dspy.Adapter:
        """The adapter for an LM."""
        if not lm.supports_response_schema:
            return self.chat
        return self.brief if getattr(lm, "weak", False) else self.schema

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
