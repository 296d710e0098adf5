"""Parameters in decisions of the SAM transform.

Stock: the transform runs without the stack's parameters, so a `DeploymentPreference` with `Enabled: !Ref Gradual` is
always enabled and needs CodeDeploy, which the emulator does not have.

AWS: the transform gets the parameters' values, including defaults, and resolves references to them.

Why it matters: on AWS this service uses canary deployments, which a local stack must switch off.
"""

from contextvars import ContextVar

from ministack.services.cloudformation import changesets, engine, handlers
from samtranslator.translator import transform

_values = ContextVar("_values", default=None)


def apply():
    """Pass the parameters to the transform, which the stock code runs in between."""
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
