"""template.yaml: what the emulator cannot enforce, and what a later edit could lose without a test noticing."""

import json
import re
import shutil
import tomllib
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import yaml

from payments.adapters.http import PROBLEMS
from payments.core.events import SOURCE
from tests.template.transform import PROJECT, parameters_in, transformed

RESTORED_TABLE = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${RestoredTable}"
TABLE = {"Fn::If": ["UsesRestoredTable", {"Fn::Sub": RESTORED_TABLE}, {"Fn::GetAtt": ["PaymentsTable", "Arn"]}]}
INDEX = {
    "Fn::If": [
        "UsesRestoredTable",
        {"Fn::Sub": f"{RESTORED_TABLE}/index/attention"},
        {"Fn::Sub": "${PaymentsTable.Arn}/index/attention"},
    ]
}
PARTY_INDEXES = {
    "Fn::If": [
        "UsesRestoredTable",
        [{"Fn::Sub": f"{RESTORED_TABLE}/index/{name}"} for name in ("client-index", "freelancer-index")],
        [{"Fn::Sub": f"${{PaymentsTable.Arn}}/index/{name}"} for name in ("client-index", "freelancer-index")],
    ]
}
BUS = {"Fn::GetAtt": ["PaymentsBus", "Arn"]}
BUILT_FOR_THE_PROCESSOR = {
    "BuildMethod": "makefile",
    "ContextPath": {"Fn::Sub": "layers/${Architecture}"},
    "WorkingDirectory": ".",
}


def secret(condition: str, resource: str, parameter: str) -> Any:
    """The stack's own secret, or an existing one."""
    return {"Fn::If": [condition, {"Fn::GetAtt": [resource, "Id"]}, {"Ref": parameter}]}


API_KEYS = secret("CreateApiKeysSecret", "ApiKeysSecret", "RazorpayApiSecretArn")
WEBHOOK = secret("CreateWebhookSecret", "WebhookSecret", "WebhookSecretArn")
JWT = secret("CreateJwtSecret", "JwtSecret", "JwtSecretArn")
# With a published key set there is no secret to read.
JWT_IF_USED = {"Fn::If": ["UsesJwtSecret", JWT, {"Ref": "AWS::NoValue"}]}
# The stack creates none: its owner stores the key before quotes are turned on.
QUOTE = {"Ref": "QuoteSecretArn"}
QUOTE_IF_USED = {"Fn::If": ["TakesQuotes", QUOTE, {"Ref": "AWS::NoValue"}]}
# Refund reads tokens only if a scope lets them request refunds.
JWT_FOR_REFUNDS = {"Fn::If": ["RefundsReadJwtSecret", JWT, {"Ref": "AWS::NoValue"}]}

# Per function, the only allowed actions and resources.
GRANTED: dict[str, list[tuple[set[str], list[Any]]]] = {
    "CreateOrderFunction": [
        ({"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"}, [TABLE]),
        ({"secretsmanager:GetSecretValue"}, [API_KEYS, JWT_IF_USED, QUOTE_IF_USED]),
    ],
    "VerifyFunction": [
        ({"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:UpdateItem"}, [TABLE]),
        ({"dynamodb:Query"}, [PARTY_INDEXES]),
        ({"secretsmanager:GetSecretValue"}, [API_KEYS, JWT_IF_USED]),
    ],
    "WebhookFunction": [
        ({"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"}, [TABLE]),
        ({"events:PutEvents"}, [BUS]),
        ({"secretsmanager:GetSecretValue"}, [WEBHOOK]),
    ],
    "RefundFunction": [
        ({"dynamodb:GetItem", "dynamodb:UpdateItem"}, [TABLE]),
        ({"secretsmanager:GetSecretValue"}, [API_KEYS, JWT_FOR_REFUNDS]),
    ],
    "OutboxFunction": [
        ({"sqs:SendMessage"}, [{"Fn::GetAtt": ["OutboxDeadLetters", "Arn"]}]),
        ({"dynamodb:GetItem", "dynamodb:UpdateItem"}, [TABLE]),
        ({"dynamodb:Query"}, [INDEX]),
        ({"events:PutEvents"}, [BUS]),
    ],
    "ReconcileFunction": [
        ({"sqs:SendMessage"}, [{"Fn::GetAtt": ["ReconcileDeadLetters", "Arn"]}]),
        (
            {
                "dynamodb:GetItem",
                "dynamodb:BatchGetItem",
                "dynamodb:PutItem",
                "dynamodb:UpdateItem",
                "dynamodb:DeleteItem",
            },
            [TABLE],
        ),
        ({"dynamodb:Query"}, [INDEX]),
        ({"events:PutEvents"}, [BUS]),
        ({"secretsmanager:GetSecretValue"}, [API_KEYS]),
    ],
}
# The promised response time in seconds, or the interval of the longest schedule.
PROMISED = {
    "CreateOrderFunction": 20,
    "VerifyFunction": 10,
    "WebhookFunction": 5,
    "RefundFunction": 20,
    "OutboxFunction": 60,
    "ReconcileFunction": 300,
}
ROUTES = {
    ("post", "/api/payments/create-order"): "CreateOrderFunction",
    ("post", "/api/payments/verify"): "VerifyFunction",
    ("get", "/api/payments/{order_id}"): "VerifyFunction",
    ("get", "/api/payments"): "VerifyFunction",
    ("post", "/api/payments/webhook"): "WebhookFunction",
    ("post", "/api/payments/{order_id}/refunds"): "RefundFunction",
    ("post", "/api/payments/{order_id}/refunds/by-token"): "RefundFunction",
}
# Routes that API Gateway lets everybody call, and what their function checks before anything else. Every other route
# must have an authorizer. SAM drops an event's `Auth: !If` without a word, so only the transformed template shows it.
CHECKED_BY_THE_FUNCTION = {
    ("post", "/api/payments/create-order"): "the access token",
    ("post", "/api/payments/verify"): "the access token",
    ("get", "/api/payments/{order_id}"): "the access token",
    ("get", "/api/payments"): "the access token",
    ("post", "/api/payments/webhook"): "Razorpay's signature",
    ("post", "/api/payments/{order_id}/refunds/by-token"): "the access token and its scope",
}
FUNCTIONS = sorted(GRANTED)


def statements(service: Any, function: str) -> list[dict[str, Any]]:
    """A function's permissions, without those that depend on a template condition."""
    return [statement for statement in all_statements(service, function) if "Fn::If" not in statement]


def all_statements(service: Any, function: str) -> list[dict[str, Any]]:
    policies = service.by_id[f"{function}Role"]["Properties"]["Policies"]
    return [statement for policy in policies for statement in as_list(policy["PolicyDocument"]["Statement"])]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# --- API --------------------------------------------------------------------------------------------------------------


def test_the_routes_are_the_published_ones_each_on_the_live_alias_of_its_function(service: Any) -> None:
    paths = service.the("AWS::ApiGateway::RestApi")["Body"]["paths"]
    routes = {
        (method, path): operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
        for path, methods in paths.items()
        for method, operation in methods.items()
        if method != "options"
    }
    assert {route: f"${{{function}Aliaslive}}" for route, function in ROUTES.items()} == {
        route: uri.split("/functions/")[1].removesuffix("/invocations") for route, uri in routes.items()
    }


def test_api_gateway_takes_the_methods_that_are_described_and_answers_any_other_itself(
    service: Any, gateway_responses: dict[str, Any]
) -> None:
    described = yaml.safe_load((PROJECT / "docs/openapi.yaml").read_text(encoding="utf-8"))["paths"]
    taken = service.the("AWS::ApiGateway::RestApi")["Body"]["paths"]
    # Preflights belong to CORS; `x-amazon-apigateway-any-method` would pass every method to a function.
    assert {path: set(methods) - {"options"} for path, methods in taken.items()} == {
        path.rstrip("/"): set(methods) for path, methods in described.items()
    }
    # Without a token the first, with one the second: API Gateway reads "Bearer …" as a broken AWS signature.
    for kind in ("MISSING_AUTHENTICATION_TOKEN", "DEFAULT_4XX"):
        response = gateway_responses[kind]
        problem = json.loads(response["responseTemplates"]["application/json"])
        assert (int(response["statusCode"]), problem["code"]) == (404, "not_found")


def test_every_route_has_an_authorizer_or_is_one_whose_function_checks_the_caller(service: Any) -> None:
    body = service.the("AWS::ApiGateway::RestApi")["Body"]
    authorized = {
        (method, path): operation["security"]
        for path, methods in body["paths"].items()
        for method, operation in methods.items()
        if method != "options" and operation.get("security")
    }
    assert set(authorized) == set(ROUTES) - set(CHECKED_BY_THE_FUNCTION)
    assert authorized == {("post", "/api/payments/{order_id}/refunds"): [{"AWS_IAM": []}]}
    assert body["components"]["securitySchemes"] == {
        "AWS_IAM": {
            "type": "apiKey",
            "name": "Authorization",
            "in": "header",
            "x-amazon-apigateway-authtype": "awsSigv4",
        }
    }


def test_the_function_of_a_signed_route_runs_with_its_own_role_and_not_with_the_callers(service: Any) -> None:
    for methods in service.the("AWS::ApiGateway::RestApi")["Body"]["paths"].values():
        for operation in methods.values():
            assert "credentials" not in operation["x-amazon-apigateway-integration"]


def test_refund_may_read_and_change_records_only(service: Any) -> None:
    (records,) = [s for s in statements(service, "RefundFunction") if "dynamodb:GetItem" in s["Action"]]
    assert records["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["order#*"]}}


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [("", True), ("payments:refund", True), ("https://shop.in/refund", True), ("two scopes", False), ('q"', False)],
)
def test_the_scope_for_refunds_is_one_scope(written: dict[str, Any], scope: str, *, allowed: bool) -> None:
    assert bool(re.search(written["Parameters"]["RefundScope"]["AllowedPattern"], scope)) is allowed
    assert written["Parameters"]["RefundScope"]["Default"] == ""


def test_no_path_ends_in_a_slash_since_a_rest_api_serves_both_forms_of_one_that_does_not(service: Any) -> None:
    assert not [p for p in service.the("AWS::ApiGateway::RestApi")["Body"]["paths"] if p.endswith("/")]
    assert not service.of_type("AWS::ApiGatewayV2::Api")


def test_there_is_one_stage_and_every_method_is_throttled_the_webhook_apart(service: Any) -> None:
    stage = service.the("AWS::ApiGateway::Stage")
    assert stage["StageName"] == {"Ref": "Stage"}
    limits = {(s["ResourcePath"], s["HttpMethod"]): s["ThrottlingRateLimit"] for s in stage["MethodSettings"]}
    assert limits == {
        ("/*", "*"): {"Ref": "ApiRateLimit"},
        ("/~1api~1payments~1create-order", "POST"): {"Ref": "ApiRateLimit"},
        ("/~1api~1payments~1verify", "POST"): {"Ref": "ApiRateLimit"},
        ("/~1api~1payments~1{order_id}", "GET"): {"Ref": "ApiRateLimit"},
        ("/~1api~1payments~1{order_id}~1refunds", "POST"): {"Ref": "ApiRateLimit"},
        ("/~1api~1payments~1{order_id}~1refunds~1by-token", "POST"): {"Ref": "ApiRateLimit"},
        ("/~1api~1payments", "GET"): {"Ref": "ApiRateLimit"},
        ("/~1api~1payments~1webhook", "POST"): {"Ref": "WebhookRateLimit"},
    }


def test_browsers_of_the_configured_origin_may_send_a_token_and_json(service: Any) -> None:
    for path, methods in service.the("AWS::ApiGateway::RestApi")["Body"]["paths"].items():
        answer = methods["options"]["x-amazon-apigateway-integration"]["responses"]["default"]["responseParameters"]
        assert answer["method.response.header.Access-Control-Allow-Origin"] == {"Fn::Sub": "'${CorsOrigin}'"}, path
        allowed = answer["method.response.header.Access-Control-Allow-Headers"]
        assert allowed == "'Authorization,Content-Type,Idempotency-Key'"


# --- Domain -----------------------------------------------------------------------------------------------------------

DOMAIN = {"ApiDomain": "HasDomain", "ApiDomainMapping": "HasDomain", "ApiDomainRecord": "HasHostedZone"}


def test_a_domain_is_an_option_without_the_stage_in_the_path_and_outlives_the_api(
    written: dict[str, Any], service: Any
) -> None:
    assert {name: service.by_id[name]["Condition"] for name in DOMAIN} == DOMAIN
    assert (
        written["Parameters"]["DomainName"]["Default"] == written["Parameters"]["DomainHostedZoneId"]["Default"] == ""
    )
    mapping = service.by_id["ApiDomainMapping"]["Properties"]
    assert "BasePath" not in mapping
    assert mapping["RestApiId"] == {"Ref": "PaymentsApi"}
    assert mapping["Stage"] == {"Ref": service_stage(service)}
    # The domain does not depend on the API, so recreating the API only moves the mapping.
    domain = service.by_id["ApiDomain"]["Properties"]
    assert "PaymentsApi" not in json.dumps(domain)
    assert domain["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    record = service.by_id["ApiDomainRecord"]["Properties"]
    assert record["AliasTarget"]["DNSName"] == {"Fn::GetAtt": ["ApiDomain", "RegionalDomainName"]}
    assert record["AliasTarget"]["HostedZoneId"] == {"Fn::GetAtt": ["ApiDomain", "RegionalHostedZoneId"]}


def service_stage(service: Any) -> str:
    (stage,) = service.of_type("AWS::ApiGateway::Stage")
    assert isinstance(stage, str)
    return stage


def test_the_domain_speaks_tls_1_2_at_least_and_can_be_the_only_way_in(written: dict[str, Any], service: Any) -> None:
    assert service.by_id["ApiDomain"]["Properties"]["SecurityPolicy"] == "TLS_1_2"
    servers = service.the("AWS::ApiGateway::RestApi")["Body"]["servers"]
    assert servers == [
        {
            "x-amazon-apigateway-endpoint-configuration": {
                "disableExecuteApiEndpoint": {"Fn::If": ["AnswersByDomainOnly", True, False]}
            }
        }
    ]
    assert written["Parameters"]["ExecuteApiEndpoint"]["Default"] == "true"


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ({}, True),
        ({"DomainName": "payments.shop.in", "DomainCertificateArn": "arn"}, True),
        (
            {
                "DomainName": "payments.shop.in",
                "DomainCertificateArn": "arn",
                "DomainHostedZoneId": "Z012345",
                "ExecuteApiEndpoint": "false",
            },
            True,
        ),
        ({"DomainName": "payments.shop.in"}, False),
        ({"DomainCertificateArn": "arn"}, False),
        ({"DomainHostedZoneId": "Z012345"}, False),
        ({"ExecuteApiEndpoint": "false"}, False),
    ],
)
def test_half_a_domain_stops_the_deployment(written: dict[str, Any], given: dict[str, str], *, allowed: bool) -> None:
    names = ("DomainName", "DomainCertificateArn", "DomainHostedZoneId", "ExecuteApiEndpoint")
    parameters = {name: written["Parameters"][name]["Default"] for name in names} | given
    assertions = written["Rules"]["Domain"]["Assertions"]
    assert all(assertion["AssertDescription"] for assertion in assertions)
    assert all(holds(assertion["Assert"], parameters) for assertion in assertions) is allowed


def test_the_outputs_give_the_urls_to_publish(written: dict[str, Any]) -> None:
    outputs = {name: output["Value"] for name, output in written["Outputs"].items()}
    stage_url = "https://${PaymentsApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}/${Stage}/"
    assert outputs["ExecuteApiUrl"] == {"Fn::Sub": stage_url}
    for name, path in (("ApiUrl", ""), ("WebhookUrl", "api/payments/webhook/")):
        condition, own, given = outputs[name]["Fn::If"]
        assert condition == "HasDomain"
        assert own == {"Fn::Sub": f"https://${{DomainName}}/{path}"}
        assert given == {"Fn::Sub": stage_url + path}


@pytest.mark.parametrize("function", ["Outbox", "Reconcile"])
def test_whoever_runs_a_lane_by_hand_is_given_the_version_that_serves(written: dict[str, Any], function: str) -> None:
    assert written["Outputs"][f"{function}Alias"]["Value"] == {"Ref": f"{function}Function.Alias"}


# --- Gateway responses ------------------------------------------------------------------------------------------------

STATUS_AND_CODE = {
    "MISSING_AUTHENTICATION_TOKEN": (404, "not_found"),
    "RESOURCE_NOT_FOUND": (404, "not_found"),
    "DEFAULT_4XX": (404, "not_found"),
    "BAD_REQUEST_BODY": (400, "malformed_request"),
    "BAD_REQUEST_PARAMETERS": (400, "malformed_request"),
    "ACCESS_DENIED": (403, "forbidden"),
    "INVALID_SIGNATURE": (403, "forbidden"),
    "EXPIRED_TOKEN": (403, "forbidden"),
    "WAF_FILTERED": (403, "forbidden"),
    "REQUEST_TOO_LARGE": (413, "too_large"),
    "UNSUPPORTED_MEDIA_TYPE": (415, "unsupported_media_type"),
    "THROTTLED": (429, "too_many_requests"),
    "DEFAULT_5XX": (500, "internal_error"),
    "INTEGRATION_FAILURE": (503, "temporarily_unavailable"),
    "INTEGRATION_TIMEOUT": (503, "temporarily_unavailable"),
}


@pytest.fixture
def gateway_responses(service: Any) -> dict[str, Any]:
    responses: dict[str, Any] = service.the("AWS::ApiGateway::RestApi")["Body"]["x-amazon-apigateway-gateway-responses"]
    return responses


def test_what_api_gateway_answers_itself_is_listed_here(gateway_responses: dict[str, Any]) -> None:
    assert set(gateway_responses) == set(STATUS_AND_CODE)


@pytest.mark.parametrize("kind", STATUS_AND_CODE)
def test_a_gateway_response_is_a_problem_document(gateway_responses: dict[str, Any], kind: str) -> None:
    status, code = STATUS_AND_CODE[kind]
    response = gateway_responses[kind]
    assert int(response["statusCode"]) == status
    # API Gateway uses the application/json template for any Accept header.
    ((media_type, template),) = response["responseTemplates"].items()
    assert media_type == "application/json"
    problem = json.loads(template)
    assert problem.pop("detail")
    assert problem == {
        "type": f"urn:payment-service:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "request_id": "$context.requestId",
    }
    headers = {
        name.removeprefix("gatewayresponse.header."): value for name, value in response["responseParameters"].items()
    }
    assert headers["Content-Type"] == "'application/problem+json'"
    assert headers["Cache-Control"] == "'no-store'"
    assert headers["Access-Control-Allow-Origin"] == {"Fn::Sub": "'${CorsOrigin}'"}
    assert ("Retry-After" in headers) == (status in {429, 503})
    # Otherwise a page of another origin could not read it.
    assert headers.get("Access-Control-Expose-Headers") == ("'Retry-After'" if status in {429, 503} else None)


@pytest.mark.parametrize("kind", STATUS_AND_CODE)
def test_a_gateway_response_says_the_same_as_the_functions_do_under_its_code(
    gateway_responses: dict[str, Any], kind: str
) -> None:
    problem = json.loads(gateway_responses[kind]["responseTemplates"]["application/json"])
    of_the_functions = {row.code: row for row in PROBLEMS.values()}
    if problem["code"] in of_the_functions:
        assert problem["status"] == of_the_functions[problem["code"]].status


# --- Functions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_do_what_it_does_and_nothing_else(service: Any, function: str) -> None:
    granted = [(set(as_list(s["Action"])), as_list(s["Resource"])) for s in statements(service, function)]
    assert granted == GRANTED[function]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_who_reads_secrets_may_decrypt_them_with_the_key_that_the_stack_is_given_and_only_through_secrets_manager(
    service: Any, function: str
) -> None:
    reads = any(s["Action"] == "secretsmanager:GetSecretValue" for s in statements(service, function))
    conditional = [s["Fn::If"] for s in all_statements(service, function) if "Fn::If" in s]
    assert len(conditional) == reads
    for condition, granted, otherwise in conditional:
        assert (condition, otherwise) == ("UsesSecretsKey", {"Ref": "AWS::NoValue"})
        assert (granted["Action"], granted["Resource"]) == ("kms:Decrypt", {"Ref": "SecretsKmsKeyArn"})
        through = {"Fn::Sub": "secretsmanager.${AWS::Region}.${AWS::URLSuffix}"}
        assert granted["Condition"] == {"StringEquals": {"kms:ViaService": through}}


ARN = "arn:aws:secretsmanager:ap-south-1:123456789012:secret:"
KEY_ARN = "arn:aws:kms:ap-south-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.mark.parametrize(
    ("arn", "allowed"),
    [
        ("", True),
        (f"{ARN}payments/razorpay-AbCdEf", True),
        (f"{ARN}payments/razorpay", False),
        (f"{ARN}payments/razorpay-AbCdE", False),
        (f"{ARN}payments/razorpay-??????", False),
        ("payments/razorpay-AbCdEf", False),
    ],
)
@pytest.mark.parametrize("parameter", ["RazorpayApiSecretArn", "WebhookSecretArn", "JwtSecretArn", "QuoteSecretArn"])
def test_the_arn_of_a_secret_is_whole_since_no_permission_fits_a_part_of_it(
    written: dict[str, Any], parameter: str, arn: str, *, allowed: bool
) -> None:
    assert bool(re.search(written["Parameters"][parameter]["AllowedPattern"], arn)) is allowed
    assert "six characters" in written["Parameters"][parameter]["ConstraintDescription"]


@pytest.mark.parametrize(
    ("arn", "allowed"),
    [("", True), (KEY_ARN, True), ("alias/payments", False), (KEY_ARN.replace("key/", "alias/"), False)],
)
def test_a_key_is_named_by_itself_and_not_by_an_alias(written: dict[str, Any], arn: str, *, allowed: bool) -> None:
    assert bool(re.search(written["Parameters"]["SecretsKmsKeyArn"]["AllowedPattern"], arn)) is allowed


def test_only_events_of_the_payment_service_may_be_published(service: Any) -> None:
    for function in ("WebhookFunction", "OutboxFunction", "ReconcileFunction"):
        (publish,) = [s for s in statements(service, function) if s["Action"] == "events:PutEvents"]
        assert publish["Condition"] == {"StringEquals": {"events:source": SOURCE}}


@pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - {"OutboxFunction"}))
def test_a_function_is_told_of_the_secrets_it_may_read(service: Any, function: str) -> None:
    told = service.by_id[function]["Properties"]["Environment"]["Variables"]["SECRET_IDS"]
    (read,) = [s for s in statements(service, function) if s["Action"] == "secretsmanager:GetSecretValue"]
    quotes = []
    if told.get("Fn::If", [None])[0] == "TakesQuotes":
        _, with_quotes, told = told["Fn::If"]
        assert with_quotes == {"Fn::Join": [",", [told, QUOTE]]}
        quotes = [QUOTE_IF_USED]
    if told.get("Fn::If", [None])[0] == "UsesJwtSecret":
        _, both, one = told["Fn::If"]
        assert both == {"Fn::Join": [",", [API_KEYS, JWT]]}
        assert one == API_KEYS
        assert read["Resource"] == [API_KEYS, JWT_IF_USED, *quotes]
    elif told.get("Fn::If", [None])[0] == "RefundsReadJwtSecret":
        assert told["Fn::If"][1:] == [{"Fn::Join": [",", [API_KEYS, JWT]]}, API_KEYS]
        assert read["Resource"] == [API_KEYS, JWT_FOR_REFUNDS]
    else:
        assert [told] == as_list(read["Resource"])


def test_outbox_knows_no_secret_and_no_gateway(service: Any) -> None:
    # Nothing in its lane waits for Razorpay, so no backlog there delays an event.
    variables = service.by_id["OutboxFunction"]["Properties"]["Environment"]["Variables"]
    assert not [name for name in variables if name.startswith(("SECRET", "RAZORPAY", "JWT"))]
    assert variables["EVENT_BUS"] == {"Ref": "PaymentsBus"}


# --- Schedules --------------------------------------------------------------------------------------------------------

SCHEDULES = {
    "OutboxFunctionEveryMinute": ("OutboxFunction", "rate(1 minute)", {}),
    "ReconcileFunctionWatch": ("ReconcileFunction", "rate(1 minute)", {"lane": "watch"}),
    "ReconcileFunctionSweep": ("ReconcileFunction", "rate(5 minutes)", {"lane": "sweep"}),
    "ReconcileFunctionExpiry": ("ReconcileFunction", "rate(1 hour)", {"lane": "expiry"}),
}


def test_each_lane_has_a_schedule_of_its_own_that_says_which_it_is(service: Any) -> None:
    found = {}
    for name, rule in service.of_type("AWS::Events::Rule").items():
        if "ScheduleExpression" in rule:
            (target,) = rule["Targets"]
            (function,) = [one for one in GRANTED if target["Arn"] == {"Ref": f"{one}Aliaslive"}]
            # Without an input, EventBridge sends a description of the schedule, which no lane accepts.
            found[name] = (function, rule["ScheduleExpression"], json.loads(target["Input"]))
            assert rule.get("State", "ENABLED") == "ENABLED"
    assert found == SCHEDULES


@pytest.mark.parametrize("function", ["OutboxFunction", "ReconcileFunction"])
def test_a_run_that_could_not_be_started_or_failed_is_set_aside_and_not_repeated(service: Any, function: str) -> None:
    queue = {"Fn::GetAtt": [function.replace("Function", "DeadLetters"), "Arn"]}
    rules = sorted(name for name, (runs, _, _) in SCHEDULES.items() if runs == function)
    for name in rules:
        assert service.by_id[name]["Properties"]["Targets"][0]["DeadLetterConfig"] == {"Arn": queue}
    (statement,) = service.by_id[function.replace("Function", "DeadLettersPolicy")]["Properties"]["PolicyDocument"][
        "Statement"
    ]
    sources = as_list(statement["Condition"]["ArnEquals"]["aws:SourceArn"])
    assert sorted(source["Fn::GetAtt"][0] for source in sources) == rules
    assert statement["Resource"] == [queue]
    invoked = [
        config
        for config in service.of_type("AWS::Lambda::EventInvokeConfig").values()
        if config["FunctionName"] == {"Ref": function}
    ]
    assert [config["MaximumRetryAttempts"] for config in invoked] == [0]
    assert invoked[0]["DestinationConfig"]["OnFailure"]["Destination"] == queue


@pytest.mark.parametrize(("reserved", "allowed"), [("0", True), ("1", False), ("2", True), ("10", True)])
def test_one_instance_for_all_lanes_stops_the_deployment(
    written: dict[str, Any], reserved: str, *, allowed: bool
) -> None:
    (assertion,) = written["Rules"]["Lanes"]["Assertions"]
    assert holds(assertion["Assert"], {"ReconcileConcurrency": reserved}) is allowed
    assert written["Parameters"]["ReconcileConcurrency"]["Default"] == 0


# --- What may be paid -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameter", "variable", "functions"),
    [
        ("MaxAmount", "MAX_AMOUNT", {"CreateOrderFunction"}),
        ("AcceptOffers", "ACCEPT_OFFERS", {"CreateOrderFunction", "WebhookFunction", "ReconcileFunction"}),
    ],
)
def test_what_may_be_paid_is_told_to_every_function_that_decides_about_it(
    written: dict[str, Any], service: Any, parameter: str, variable: str, functions: set[str]
) -> None:
    told = {
        function
        for function in FUNCTIONS
        if service.by_id[function]["Properties"]["Environment"]["Variables"].get(variable) == {"Ref": parameter}
    }
    assert told == functions
    assert written["Parameters"][parameter]["Default"] == ""


@pytest.mark.parametrize(
    ("parameter", "value", "allowed"),
    [
        ("MaxAmount", "", True),
        ("MaxAmount", "500000", True),
        ("MaxAmount", "499.50", True),
        ("MaxAmount", "0", False),
        ("MaxAmount", "5,00,000", False),
        ("MaxAmount", "-1", False),
        ("AcceptOffers", "", True),
        ("AcceptOffers", "90", True),
        ("AcceptOffers", "1", True),
        ("AcceptOffers", "0", False),
        ("AcceptOffers", "100", False),
        ("AcceptOffers", "90%", False),
    ],
)
def test_a_sum_or_a_share_that_means_nothing_stops_the_deployment(
    written: dict[str, Any], parameter: str, value: str, *, allowed: bool
) -> None:
    assert bool(re.search(written["Parameters"][parameter]["AllowedPattern"], value)) is allowed


# --- How long an order may be paid ------------------------------------------------------------------------------------


def test_create_order_and_reconcile_know_when_an_order_expires(written: dict[str, Any], service: Any) -> None:
    told = {
        function
        for function in FUNCTIONS
        if service.by_id[function]["Properties"]["Environment"]["Variables"].get("ORDER_EXPIRY_DAYS")
        == {"Ref": "OrderExpiryDays"}
    }
    assert told == {"CreateOrderFunction", "ReconcileFunction"}
    parameter = written["Parameters"]["OrderExpiryDays"]
    assert (parameter["Type"], parameter["Default"]) == ("Number", 30)
    assert (parameter["MinValue"], parameter["MaxValue"]) == (1, 170)


# --- Functions, how they are built ------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_gives_up_before_the_promised_answer_is_due(service: Any, function: str) -> None:
    assert service.by_id[function]["Properties"]["Timeout"] < PROMISED[function]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_runs_python_3_13_with_the_layer_on_the_chosen_processor(service: Any, function: str) -> None:
    properties = service.by_id[function]["Properties"]
    assert properties["Runtime"] == "python3.13"
    assert properties["Handler"] == "app.lambda_handler"
    assert properties["Architectures"] == [{"Ref": "Architecture"}]
    assert properties["Layers"][0] == {"Ref": layer_of(service, "SharedLayer")}


def test_only_functions_that_take_tokens_or_quotes_bring_cryptography_and_only_where_it_is_used(
    written: dict[str, Any], service: Any
) -> None:
    layer = layer_of(service, "CryptographyLayer")
    assert service.by_id[layer]["Condition"] == "UsesCryptography"
    of_tokens = {"Fn::Not": [{"Fn::Equals": [{"Ref": "JwtAlgorithm"}, "HS256"]}]}
    of_quotes = {
        "Fn::And": [{"Condition": "TakesQuotes"}, {"Fn::Not": [{"Fn::Equals": [{"Ref": "QuoteAlgorithm"}, "HS256"]}]}]
    }
    assert written["Conditions"]["UsesCryptographyForTokens"] == of_tokens
    assert written["Conditions"]["UsesCryptography"] == {
        "Fn::Or": [{"Condition": "UsesCryptographyForTokens"}, of_quotes]
    }
    conditions = {
        "CreateOrderFunction": "UsesCryptography",
        "VerifyFunction": "UsesCryptographyForTokens",
        "RefundFunction": "UsesCryptographyForTokens",
    }
    for function in FUNCTIONS:
        attached = (
            [{"Fn::If": [conditions[function], {"Ref": layer}, {"Ref": "AWS::NoValue"}]}]
            if function in conditions
            else []
        )
        assert service.by_id[function]["Properties"]["Layers"][1:] == attached


@pytest.mark.parametrize("layer", ["SharedLayer", "CryptographyLayer"])
def test_a_layer_is_built_for_the_processor_of_the_functions(written: dict[str, Any], layer: str) -> None:
    metadata = written["Resources"][layer]["Metadata"]
    assert metadata == {**BUILT_FOR_THE_PROCESSOR, "BuildArchitecture": {"Ref": "Architecture"}}
    assert written["Parameters"]["Architecture"]["Default"] == "arm64"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_built_like_the_layers(written: dict[str, Any], function: str) -> None:
    assert written["Resources"][function]["Metadata"] == BUILT_FOR_THE_PROCESSOR


@pytest.mark.parametrize("resource", ["SharedLayer", "CryptographyLayer", *FUNCTIONS])
def test_every_processor_has_a_makefile_that_builds_the_resource(written: dict[str, Any], resource: str) -> None:
    for architecture in written["Parameters"]["Architecture"]["AllowedValues"]:
        makefile = PROJECT / "layers" / architecture / "Makefile"
        assert makefile.read_text() == f"ARCHITECTURE := {architecture}\ninclude layers/rules.mk\n"
    assert f"\nbuild-{resource}:\n" in (PROJECT / "layers/rules.mk").read_text()


def test_no_stage_is_built_with_sams_cache_which_misses_changes_of_the_builder() -> None:
    stages = tomllib.loads((PROJECT / "samconfig.toml").read_text())
    builds = {name: stage["build"]["parameters"] for name, stage in stages.items() if isinstance(stage, dict)}
    assert {"staging", "production"} <= builds.keys()
    assert not [name for name, parameters in builds.items() if parameters["cached"]]


def layer_of(service: Any, prefix: str) -> str:
    """The logical id of a layer, to which SAM appends a hash."""
    (layer,) = [name for name in service.of_type("AWS::Lambda::LayerVersion") if name.startswith(prefix)]
    assert isinstance(layer, str)
    return layer


# --- Tokens -----------------------------------------------------------------------------------------------------------


def test_the_algorithms_are_those_the_functions_know(written: dict[str, Any]) -> None:
    parameter = written["Parameters"]["JwtAlgorithm"]
    assert (parameter["AllowedValues"], parameter["Default"]) == (["HS256", "RS256", "ES256"], "HS256")


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("", True),
        ("https://cognito-idp.ap-south-1.amazonaws.com/ap-south-1_AbCdEfGhI/.well-known/jwks.json", True),
        ("http://127.0.0.1:8000/jwks.json", True),
        ("http://id.example.com/jwks.json", False),
        ("http://127.0.0.1.example.com/jwks.json", False),
        ("https://user@id.example.com/jwks.json", False),
        ("file:///etc/passwd", False),
    ],
)
def test_keys_are_published_over_https(written: dict[str, Any], url: str, *, allowed: bool) -> None:
    assert bool(re.search(written["Parameters"]["JwtJwksUrl"]["AllowedPattern"], url)) is allowed


@pytest.mark.parametrize(
    ("algorithm", "url", "arn", "allowed"),
    [
        ("HS256", "", "", True),
        ("HS256", "", "arn", True),
        ("RS256", "", "arn", True),
        ("ES256", "https://id.example.com/jwks.json", "", True),
        ("HS256", "https://id.example.com/jwks.json", "", False),
        ("RS256", "https://id.example.com/jwks.json", "arn", False),
    ],
)
def test_parameters_that_contradict_each_other_stop_the_deployment(
    written: dict[str, Any], algorithm: str, url: str, arn: str, *, allowed: bool
) -> None:
    parameters = {"JwtAlgorithm": algorithm, "JwtJwksUrl": url, "JwtSecretArn": arn}
    assertions = written["Rules"]["TokenKeys"]["Assertions"]
    assert all(assertion["AssertDescription"] for assertion in assertions)
    assert all(holds(assertion["Assert"], parameters) for assertion in assertions) is allowed


@pytest.mark.parametrize(
    ("arn", "algorithm", "required", "allowed"),
    [
        ("", "HS256", "false", True),
        ("arn", "HS256", "false", True),
        ("arn", "ES256", "true", True),
        ("", "HS256", "true", False),
        # Nothing would use it, so that a change of it would make a version that differs in its description alone.
        ("", "ES256", "false", False),
    ],
)
def test_quotes_are_required_or_signed_another_way_only_where_there_is_a_key_for_them(
    written: dict[str, Any], arn: str, algorithm: str, required: str, *, allowed: bool
) -> None:
    parameters = {"QuoteSecretArn": arn, "QuoteAlgorithm": algorithm, "QuoteRequired": required}
    assertions = written["Rules"]["QuoteKeys"]["Assertions"]
    assert all(assertion["AssertDescription"] for assertion in assertions)
    assert all(holds(assertion["Assert"], parameters) for assertion in assertions) is allowed


def test_no_quote_is_required_unless_a_stage_asks_for_it(written: dict[str, Any], service: Any) -> None:
    parameters = written["Parameters"]
    assert (parameters["QuoteSecretArn"]["Default"], parameters["QuoteRequired"]["Default"]) == ("", "false")
    assert parameters["QuoteAlgorithm"]["AllowedValues"] == ["HS256", "RS256", "ES256"]
    told = {
        function: {
            name: value
            for name, value in service.by_id[function]["Properties"]["Environment"]["Variables"].items()
            if name.startswith("QUOTE")
        }
        for function in FUNCTIONS
    }
    assert told.pop("CreateOrderFunction") == {
        "QUOTE_ALGORITHM": {"Fn::If": ["TakesQuotes", {"Ref": "QuoteAlgorithm"}, ""]},
        "QUOTE_REQUIRED": {"Ref": "QuoteRequired"},
    }
    assert not any(told.values())


@pytest.mark.parametrize(
    ("provisioned", "snap_start", "allowed"),
    [
        ("0", "None", True),
        ("0", "PublishedVersions", True),
        ("3", "None", True),
        ("3", "PublishedVersions", False),
    ],
)
def test_snap_start_and_provisioned_concurrency_together_stop_the_deployment(
    written: dict[str, Any], provisioned: str, snap_start: str, *, allowed: bool
) -> None:
    parameters = {"ProvisionedConcurrency": provisioned, "SnapStart": snap_start, "GradualDeployment": "true"}
    assertions = written["Rules"]["StartedBeforehand"]["Assertions"]
    assert all(holds(assertion["Assert"], parameters) for assertion in assertions) is allowed


@pytest.mark.parametrize(
    ("provisioned", "gradual", "allowed"),
    [("0", "true", True), ("0", "false", True), ("3", "true", True), ("3", "false", False)],
)
def test_provisioned_concurrency_that_would_stop_the_second_deployment_stops_the_first(
    written: dict[str, Any], provisioned: str, gradual: str, *, allowed: bool
) -> None:
    parameters = {"ProvisionedConcurrency": provisioned, "SnapStart": "None", "GradualDeployment": gradual}
    assertions = written["Rules"]["StartedBeforehand"]["Assertions"]
    assert all(holds(assertion["Assert"], parameters) for assertion in assertions) is allowed


def test_a_snapshot_is_made_of_every_function_where_a_stage_asks_for_it(written: dict[str, Any], service: Any) -> None:
    assert written["Parameters"]["SnapStart"]["Default"] == "None"
    for function in FUNCTIONS:
        assert service.by_id[function]["Properties"]["SnapStart"] == {"ApplyOn": {"Ref": "SnapStart"}}
        # SnapStart is refused above 512 MB of /tmp ("Supported features and limitations"), which is the default.
        assert "EphemeralStorage" not in service.by_id[function]["Properties"]


def test_functions_that_customers_wait_for_may_be_started_beforehand(written: dict[str, Any], service: Any) -> None:
    kept = {
        alias["Properties"]["FunctionName"]["Ref"]: alias["Properties"].get("ProvisionedConcurrencyConfig")
        for alias in service.by_id.values()
        if alias["Type"] == "AWS::Lambda::Alias"
    }
    started = {"ProvisionedConcurrentExecutions": {"Ref": "ProvisionedConcurrency"}}
    if_asked = {"Fn::If": ["StartsBeforehand", started, {"Ref": "AWS::NoValue"}]}
    waited_for = {"CreateOrderFunction", "VerifyFunction"}
    assert kept == {function: if_asked if function in waited_for else None for function in FUNCTIONS}
    assert written["Parameters"]["ProvisionedConcurrency"]["Default"] == 0
    assert written["Conditions"]["StartsBeforehand"] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": "ProvisionedConcurrency"}, "0"]}]
    }


def holds(condition: Any, parameters: dict[str, str]) -> bool:
    """Evaluates a condition of these functions as CloudFormation does."""
    ((function, arguments),) = condition.items()
    match function:
        case "Fn::Or":
            return any(holds(argument, parameters) for argument in arguments)
        case "Fn::And":
            return all(holds(argument, parameters) for argument in arguments)
        case "Fn::Not":
            return not holds(arguments[0], parameters)
        case "Fn::Equals":
            left, right = (parameters[part["Ref"]] if isinstance(part, dict) else part for part in arguments)
            return bool(left == right)
    raise AssertionError(function)


def test_a_cognito_user_pool_fits_into_the_description_of_a_version(written: dict[str, Any], service: Any) -> None:
    # Over 256 characters the deployment fails and rolls back.
    parameters = {**defaults(written), **OF_COGNITO}
    for version in service.of_type("AWS::Lambda::Version").values():
        assert 0 < len(text_of(version["Description"], parameters)) <= 256


def defaults(written: dict[str, Any]) -> dict[str, str]:
    return {name: str(parameter.get("Default", "")) for name, parameter in written["Parameters"].items()}


ISSUER = "https://cognito-idp.ap-southeast-1.amazonaws.com/ap-southeast-1_AbCdEfGhI"
OF_COGNITO = {
    "CorsOrigin": "https://app.staging.example.com",
    "JwtAlgorithm": "RS256",
    "JwtIssuer": ISSUER,
    "JwtJwksUrl": f"{ISSUER}/.well-known/jwks.json",
    "JwtAudience": "1h57kf5cpq17m0eml12EXAMPLE",
    "JwtUserClaim": "custom:user_id",
    "RestoredTable": "payments-r20260301",
    "MaxAmount": "500000",
    "AcceptOffers": "90",
    "SnapStart": "PublishedVersions",
    "RefundScope": "payments:refund",
    "RazorpayApiSecretArn": "arn:aws:secretsmanager:ap-southeast-1:123456789012:secret:payments/razorpay-AbCdEf",
    "QuoteSecretArn": "arn:aws:secretsmanager:ap-southeast-1:123456789012:secret:payments/quotes-AbCdEf",
}
# One other valid value of each parameter.
CHANGED = {
    "Architecture": "x86_64",
    "MemorySize": "1024",
    "SnapStart": "None",
    "LogLevel": "DEBUG",
    "RestoredTable": "payments-r20260302",
    "CorsOrigin": "https://shop.staging.example.com",
    "JwtAlgorithm": "ES256",
    "JwtIssuer": ISSUER.replace("AbCdEfGhI", "AbCdEfGhJ"),
    "JwtJwksUrl": f"{ISSUER}/.well-known/jwks-2.json",
    "JwtAudience": "2h57kf5cpq17m0eml12EXAMPLE",
    "JwtUserClaim": "sub",
    "JwtSecretArn": "arn:aws:secretsmanager:ap-southeast-1:123456789012:secret:payments/jwt-AbCdEf",
    "RazorpayApiSecretArn": "arn:aws:secretsmanager:ap-southeast-1:123456789012:secret:payments/razorpay-AbCdEg",
    "RazorpayApiUrl": "https://api.razorpay.example.com",
    "RefundScope": "payments:give-back",
    "WebhookSecretArn": "arn:aws:secretsmanager:ap-southeast-1:123456789012:secret:payments/webhook-AbCdEf",
    "Currencies": "INR,USD",
    "MaxAmount": "400000",
    "AcceptOffers": "80",
    "OrderExpiryDays": "60",
    "QuoteSecretArn": "arn:aws:secretsmanager:ap-southeast-1:123456789012:secret:payments/quotes-AbCdEg",
    "QuoteAlgorithm": "RS256",
    "QuoteRequired": "true",
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_another_value_of_a_setting_is_another_description_although_long_values_are_cut_short(
    written: dict[str, Any], service: Any, function: str
) -> None:
    (description,) = [
        version["Description"]
        for version in service.of_type("AWS::Lambda::Version").values()
        if version["FunctionName"] == {"Ref": function}
    ]
    before = {**defaults(written), **OF_COGNITO}
    for name in set(parameters_in(description, set(written["Parameters"]))):
        assert text_of(description, before | {name: CHANGED[name]}) != text_of(description, before), name


def text_of(node: Any, parameters: dict[str, str]) -> str:
    """Resolves references, joins, splits and selects to text, as CloudFormation does."""
    if not isinstance(node, dict):
        return str(node)
    ((function, arguments),) = node.items()
    match function:
        case "Ref":
            return parameters[arguments]
        case "Fn::Sub":
            for name, value in parameters.items():
                arguments = arguments.replace(f"${{{name}}}", value)
            return str(arguments)
        case "Fn::If":
            condition, if_true, if_false = arguments
            assert condition == "RefundsByToken"
            return text_of(if_true if parameters["RefundScope"] else if_false, parameters)
        case "Fn::Join":
            separator, parts = arguments
            return str(separator).join(texts_of(parts, parameters))
        case "Fn::Select":
            return texts_of(arguments[1], parameters)[int(arguments[0])]
    raise AssertionError(function)


def texts_of(node: Any, parameters: dict[str, str]) -> list[str]:
    if isinstance(node, dict):
        separator, text = node["Fn::Split"]
        return text_of(text, parameters).split(separator)
    return [text_of(part, parameters) for part in node]


# --- Publishing -------------------------------------------------------------------------------------------------------


def test_every_function_is_published_under_the_alias_live_whatever_of_it_changes(written: dict[str, Any]) -> None:
    assert written["Globals"]["Function"]["AutoPublishAlias"] == "live"
    for function in FUNCTIONS:
        assert written["Resources"][function]["Properties"]["AutoPublishAliasAllProperties"] is True
    assert written["Resources"]["SharedLayer"]["Properties"]["PublishLambdaVersion"] is True


def test_a_change_of_the_layer_alone_publishes_every_function(service: Any, tmp_path: Path) -> None:
    for nested in ("monitoring.yaml", "web-acl.yaml"):
        shutil.copy(PROJECT / nested, tmp_path)
    changed = tmp_path / "template.yaml"
    changed.write_text((PROJECT / "template.yaml").read_text().replace("ContentUri: shared/", "ContentUri: shared-2/"))
    after = transformed(changed, "Stage=staging", "CorsOrigin=https://app.example.com")
    before = set(service.of_type("AWS::Lambda::Version"))
    assert before.isdisjoint(after.of_type("AWS::Lambda::Version"))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_change_of_any_parameter_of_a_function_publishes_it(
    written: dict[str, Any], service: Any, function: str
) -> None:
    # SAM's hash uses the parameters' names; the version's description, a change of which replaces it, uses their
    # values.
    parameters = set(written["Parameters"]) - {"Stage"}  # another stage is another stack
    (version,) = [
        version
        for version in service.of_type("AWS::Lambda::Version").values()
        if version["FunctionName"] == {"Ref": function}
    ]
    # Concurrency belongs to the function, not to a version: it changes at once.
    properties = {
        name: value
        for name, value in service.by_id[function]["Properties"].items()
        if name != "ReservedConcurrentExecutions"
    }
    used = set(parameters_in(properties, parameters))
    assert used
    assert set(parameters_in(version["Description"], parameters)) == used


def test_a_new_origin_reaches_the_preflight_and_the_gateway_responses(written: dict[str, Any]) -> None:
    # SAM's hash of the API also uses parameters' names.
    assert written["Resources"]["PaymentsApi"]["Properties"]["AlwaysDeploy"] is True


# --- Table, bus, secrets ----------------------------------------------------------------------------------------------


def test_the_table_has_one_key_a_sparse_index_of_what_needs_attention_and_one_for_each_party(service: Any) -> None:
    table = service.the("AWS::DynamoDB::Table")
    assert table["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    keys = {
        index["IndexName"]: [(key["AttributeName"], key["KeyType"]) for key in index["KeySchema"]]
        for index in table["GlobalSecondaryIndexes"]
    }
    assert keys == {
        "attention": [("attention_shard", "HASH"), ("attention_at", "RANGE")],
        "client-index": [("client_id", "HASH"), ("created_at", "RANGE")],
        "freelancer-index": [("freelancer_id", "HASH"), ("created_at", "RANGE")],
    }
    assert all(index["Projection"] == {"ProjectionType": "KEYS_ONLY"} for index in table["GlobalSecondaryIndexes"])
    types = {item["AttributeName"]: item["AttributeType"] for item in table["AttributeDefinitions"]}
    # DynamoDB refuses a definition that no key uses.
    assert types == {
        "pk": "S",
        "attention_shard": "S",
        "attention_at": "N",
        "created_at": "S",
        "client_id": "N",
        "freelancer_id": "N",
    }


def test_the_table_is_on_demand_encrypted_recoverable_and_forgets_what_expires(service: Any) -> None:
    table = service.the("AWS::DynamoDB::Table")
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["SSESpecification"]["SSEEnabled"]
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


def test_the_table_outlives_its_stack_and_is_protected_unless_a_stage_says_otherwise(
    written: dict[str, Any], service: Any
) -> None:
    table = service.by_id["PaymentsTable"]
    # But not if the stack's creation failed: its table is empty, and each attempt would leave another one.
    assert table["DeletionPolicy"] == "RetainExceptOnCreate"
    assert table["UpdateReplacePolicy"] == "Retain"
    assert table["Properties"]["DeletionProtectionEnabled"] == {"Fn::If": ["ProtectTable", True, False]}
    assert "TableName" not in table["Properties"]
    assert written["Parameters"]["DeletionProtection"]["Default"] == "true"


def test_the_bus_is_named_after_the_stage_and_archived(service: Any) -> None:
    assert service.the("AWS::Events::EventBus")["Name"] == {"Fn::Sub": "payments-${Stage}"}
    archive = service.the("AWS::Events::Archive")
    assert archive["SourceArn"] == BUS
    assert archive["EventPattern"] == {"source": [SOURCE]}


def test_what_the_local_emulator_refuses_is_conditional(service: Any) -> None:
    assert service.by_id["PaymentsBusPolicy"]["Condition"] == "HasSubscriberAccounts"


def test_no_secret_has_a_value_and_no_parameter_takes_one(written: dict[str, Any], service: Any) -> None:
    secrets = service.of_type("AWS::SecretsManager::Secret")
    assert len(secrets) == 3
    assert all(set(properties) <= {"Description", "Tags", "KmsKeyId"} for properties in secrets.values())
    key = {"Fn::If": ["UsesSecretsKey", {"Ref": "SecretsKmsKeyArn"}, {"Ref": "AWS::NoValue"}]}
    assert all(properties["KmsKeyId"] == key for properties in secrets.values())
    assert {name for name in written["Parameters"] if "Secret" in name} == {
        "SecretsKmsKeyArn",
        "RazorpayApiSecretArn",
        "WebhookSecretArn",
        "JwtSecretArn",
        "QuoteSecretArn",
    }
