"""Who an operator is, as AWS names the credentials in use."""

from typing import Final

_KINDS: Final = frozenset({"user", "federated-user"})


def role_and_session(arn: str) -> tuple[str, str] | None:
    """Return the role and the session's name in an ARN of `sts:GetCallerIdentity` or of API Gateway's `userArn`.

    For a user it is the kind and the name. None if the credentials are of another kind.
    """
    kind, *names = arn.split(":", 5)[-1].split("/")
    match kind, names:
        case "assumed-role", [role, session]:
            return role, session
        case kind, [*_, name] if kind in _KINDS:
            return kind, name
        case "root", []:
            return "root", "root"
        case _:
            return None
