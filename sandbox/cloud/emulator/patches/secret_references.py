"""`!Ref` of an `AWS::SecretsManager::Secret`.

Stock: the secret's name.

AWS: the secret's ARN, random suffix included.

Why it matters: policies name the secret by `!Ref`; with a name instead, no function could read its secrets, since roles
are enforced.
Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-secretsmanager-secret.html
"""

from ministack.services import secretsmanager
from ministack.services.cloudformation import provisioners


def apply():
    """Let CloudFormation identify secrets by ARN, and translate where the stock code expects the name."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::SecretsManager::Secret"]
    stock = dict(handlers)

    def create(logical_id, properties, stack_name):
        _name, attributes = stock["create"](logical_id, properties, stack_name)
        return attributes["Arn"], attributes

    def update(physical_id, old_properties, new_properties, stack_name, logical_id=None):
        name = name_of(physical_id)
        _name, attributes = stock["update"](name, old_properties, new_properties, stack_name, logical_id)
        return attributes.get("Arn", physical_id), attributes

    def delete(physical_id, properties):
        stock["delete"](name_of(physical_id), properties)

    handlers.update(create=create, update=update, delete=delete)


def name_of(arn):
    """The name of the secret with this ARN; the ARN itself if there is none, as after a manual deletion."""
    return next((name for name, secret in secretsmanager._secrets.items() if secret["ARN"] == arn), arn)
