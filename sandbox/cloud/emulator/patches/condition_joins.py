"""`Fn::Join` in the conditions of a template.

Stock: it is not evaluated there, so `!Equals [!Join ["", !Ref List], ""]`, the usual test for an empty list, is never
true, and every resource under the condition is created.

AWS: it is not among the functions documented for conditions, but it is evaluated; the idiom is widespread.

Why it matters: the template's policy for subscribers in other accounts exists only when there are any.
"""

from ministack.services import cloudformation
from ministack.services.cloudformation import changesets, engine, handlers, stacks


def apply():
    """Join before the conditions are evaluated, in every module that took the function by name."""
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
    """A literal itself; of a reference to a parameter its value, as a list where the parameter is one."""
    if not isinstance(item, dict) or item.get("Ref") not in params:
        return item
    param = params[item["Ref"]]
    declared = str(param.get("Type", ""))
    is_list = declared == "CommaDelimitedList" or declared.startswith("List<")
    return str(param["Value"]).split(",") if is_list else param["Value"]
