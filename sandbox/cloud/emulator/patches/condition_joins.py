"""`Fn::Join` in the conditions of a template.

Stock: it is not evaluated, so `!Equals [!Join ["", !Ref List], ""]`, the usual test for an empty list, is never true,
and every resource under the condition is created.

AWS: it is not documented for conditions, but it is evaluated; the idiom is widespread.

Why it matters: the template's policy for subscribers in other accounts exists only if there are any.
"""

from ministack.services import cloudformation
from ministack.services.cloudformation import changesets, engine, handlers, stacks


def apply():
    """Evaluate joins before conditions, in every module that imported the function by name."""
    stock = engine._evaluate_conditions

    def evaluate_conditions(template, params):
        conditions = joined(template.get("Conditions") or {}, params)
        return stock({**template, "Conditions": conditions}, params)

    for module in (engine, handlers, changesets, stacks, cloudformation):
        if hasattr(module, "_evaluate_conditions"):
            module._evaluate_conditions = evaluate_conditions


def joined(expression, params):
    """The expression with joins of literals and parameters replaced by their text."""
    if isinstance(expression, list):
        return [joined(part, params) for part in expression]
    if not isinstance(expression, dict):
        return expression
    if set(expression) == {"Fn::Join"}:
        delimiter, items = expression["Fn::Join"]
        items = value_of(items, params)
        return delimiter.join(str(value_of(item, params)) for item in items)
    return {name: joined(part, params) for name, part in expression.items()}


def value_of(item, params):
    """The value of a literal or of a referenced parameter; a list if the parameter is one."""
    if not isinstance(item, dict) or item.get("Ref") not in params:
        return item
    param = params[item["Ref"]]
    declared = str(param.get("Type", ""))
    is_list = declared == "CommaDelimitedList" or declared.startswith("List<")
    return str(param["Value"]).split(",") if is_list else param["Value"]
