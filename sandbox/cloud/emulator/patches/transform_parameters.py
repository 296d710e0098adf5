"""Parameters in what the SAM transform decides by itself.

Stock: the transform is run without the stack's parameters, so a `DeploymentPreference` with `Enabled: !Ref Gradual` is
enabled whatever the parameter says, and CodeDeploy, which the emulator does not have, is wanted.

AWS: the transform gets the values of the parameters, defaults included, and resolves references to them.

Why it matters: this service's versions take over step by step on AWS, and a local stack must do without.
"""

from contextvars import ContextVar

from ministack.services.cloudformation import changesets, engine, handlers
from samtranslator.translator import transform

_values = ContextVar("_values", default=None)


def apply():
    """Take the parameters past the stock code, which runs the transform in between."""
    stock_transforms = engine._apply_transforms
    stock_transform = transform.transform

    def apply_transforms(template, provided_params=None, previous_params=None):
        values = engine._transform_parameters(template, provided_params, previous_params)
        token = _values.set(values)
        try:
            return stock_transforms(template, provided_params, previous_params)
        finally:
            _values.reset(token)

    def with_parameters(template, parameters, policies):
        return stock_transform(template, {**parameters, **(_values.get() or {})}, policies)

    transform.transform = with_parameters
    for module in (engine, handlers, changesets):
        module._apply_transforms = apply_transforms
