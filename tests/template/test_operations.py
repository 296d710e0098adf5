"""template.yaml: what keeps the service running, seen and recoverable."""

import json
import re
import subprocess
import tomllib
from typing import Any

import pytest

from tests.template.metrics import conditions_of, filtered, of_alarm, of_dashboard, text
from tests.template.transform import PROJECT, SAM_ENVIRONMENT, Resources, transformed

WEBHOOK_PATH = "/api/payments/webhook"
RESERVED = {
    "CreateOrderFunction": ("ReserveCreateOrder", "CreateOrderConcurrency"),
    "VerifyFunction": ("ReserveVerify", "VerifyConcurrency"),
    "WebhookFunction": ("ReserveWebhook", "WebhookConcurrency"),
    "ReconcileFunction": ("ReserveReconcile", "ReconcileConcurrency"),
}
FUNCTIONS = [*RESERVED, "RefundFunction", "OutboxFunction"]
# Functions behind the API get a canary of some minutes; the others switch at once.
ON_TRIAL = ["CreateOrderFunction", "VerifyFunction", "WebhookFunction", "RefundFunction"]
STAGES = tomllib.loads((PROJECT / "samconfig.toml").read_text())
# Conditions of which each role, key and queue needs one: the service that is allowed, or our account.
ACCOUNT_ROOT = {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}


@pytest.fixture(scope="session")
def local() -> Resources:
    """The template as the local cloud deploys it."""
    return transformed(PROJECT / "template.yaml", "Stage=local", "CorsOrigin=*", "GradualDeployment=false")


# --- The webhook's own capacity ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", RESERVED)
def test_each_function_that_many_may_call_at_once_can_have_instances_of_its_own(service: Any, function: str) -> None:
    condition, parameter = RESERVED[function]
    reserved = service.by_id[function]["Properties"]["ReservedConcurrentExecutions"]
    assert reserved == {"Fn::If": [condition, {"Ref": parameter}, {"Ref": "AWS::NoValue"}]}


def configured(stage: str) -> dict[str, str]:
    """A stage's parameters in samconfig.toml."""
    overrides: list[str] = STAGES[stage]["global"]["parameters"]["parameter_overrides"]
    return dict(override.split("=", 1) for override in overrides)


def reserved(values: dict[str, str]) -> int:
    return sum(int(values[parameter]) for _, parameter in RESERVED.values())


def test_a_new_account_whose_lambda_quota_is_ten_is_asked_for_no_reservation(
    written: dict[str, Any], service: Any
) -> None:
    # Any reservation would leave less than Lambda requires.
    assert reserved({name: parameter.get("Default") for name, parameter in written["Parameters"].items()}) == 0
    assert reserved(configured("staging")) == 0
    assert "ReservedConcurrentExecutions" not in service.by_id["OutboxFunction"]["Properties"]


def test_production_says_beside_its_reservations_which_quota_they_need() -> None:
    # 100 must stay free for everything else in the account.
    needed = reserved(configured("production")) + 100
    comment = (PROJECT / "samconfig.toml").read_text().partition("[production.global.parameters]")[0]
    assert f"at least {needed} in this account" in " ".join(comment.replace("\n#", "").split())
    assert f"at least **{needed}**" in " ".join((PROJECT / "docs/aws.md").read_text().split())
    # Staging in the same account still fits into the usual quota.
    assert reserved(configured("production")) + reserved(configured("staging")) <= 1000 - 100


def test_zero_reserves_nothing_instead_of_stopping_the_function(written: dict[str, Any]) -> None:
    for condition, parameter in RESERVED.values():
        assert written["Conditions"][condition] == {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, "0"]}]}
        assert written["Parameters"][parameter]["MinValue"] == 0


# --- Logs and traces --------------------------------------------------------------------------------------------------

LOGGED = {
    "$context.requestId",
    "$context.requestTime",
    "$context.identity.sourceIp",
    "$context.httpMethod",
    "$context.resourcePath",
    "$context.status",
    "$context.error.responseType",
    "$context.waf.status",
    "$context.responseLatency",
    "$context.integration.latency",
    "$context.responseLength",
    "$context.xrayTraceId",
}


def test_the_access_log_is_json_and_has_the_listed_fields_and_no_other(service: Any) -> None:
    line = service.the("AWS::ApiGateway::Stage")["AccessLogSetting"]["Format"]
    assert "\n" not in line  # API Gateway accepts one line
    values = json.loads(line.replace("$context.status", '"$context.status"')).values()
    assert set(values) == LOGGED


def test_a_line_of_the_access_log_is_json_whatever_the_request_was(service: Any) -> None:
    line = service.the("AWS::ApiGateway::Stage")["AccessLogSetting"]["Format"]
    assert '"http_status":$context.status,' in line  # a number, for the filter that counts refusals
    assert json.loads(re.sub(r"\$context\.status", "429", line))["http_status"] == 429


def test_api_gateway_writes_no_bodies_and_no_headers(service: Any) -> None:
    for settings in service.the("AWS::ApiGateway::Stage")["MethodSettings"]:
        assert settings["LoggingLevel"] == "OFF"
        assert settings["DataTraceEnabled"] is False


def test_the_role_for_api_gateways_logs_is_an_option_since_it_belongs_to_the_account(
    written: dict[str, Any], service: Any
) -> None:
    for name in ("ApiAccount", "ApiAccountLogRole"):
        assert service.by_id[name]["Condition"] == "CreateApiAccountRole"
        assert service.by_id[name]["DeletionPolicy"] == "RetainExceptOnCreate"
        assert service.by_id[name]["UpdateReplacePolicy"] == "Retain"
    assert written["Parameters"]["ApiAccountRole"]["Default"] == "existing"
    # The stage writes to this group, and this group waits for the role.
    (tag,) = service.by_id["ApiAccessLogGroup"]["Properties"]["Tags"]
    assert tag["Value"] == {"Fn::If": ["CreateApiAccountRole", {"Ref": "ApiAccount"}, "existing"]}


def test_the_role_for_api_gateways_logs_waits_for_something_of_api_gateway_that_waits_for_nothing(service: Any) -> None:
    # CloudFormation user guide, AWS::ApiGateway::Account: in an account that never had an API, it must depend on one.
    first = service.by_id[service.by_id["ApiAccount"]["DependsOn"]]
    assert first["Type"] == "AWS::ApiGateway::ApiKey"
    assert first["Condition"] == "CreateApiAccountRole"
    assert first["Properties"]["Enabled"] is False
    assert not {"DependsOn", "StageKeys"} & (first.keys() | first["Properties"].keys())
    assert "Ref" not in json.dumps(first["Properties"])
    assert not service.of_type("AWS::ApiGateway::UsagePlan")


def test_everything_is_traced_without_the_sdk(service: Any) -> None:
    for function in FUNCTIONS:
        assert service.by_id[function]["Properties"]["TracingConfig"] == {"Mode": "Active"}
    assert service.the("AWS::ApiGateway::Stage")["TracingEnabled"] is True
    assert "aws-xray-sdk" not in (PROJECT / "shared/requirements.txt").read_text()


# --- Roles ------------------------------------------------------------------------------------------------------------


def test_the_roles_that_are_no_functions_have_one_policy_of_aws_each(service: Any) -> None:
    functions = {f["Role"]["Fn::GetAtt"][0] for f in service.of_type("AWS::Lambda::Function").values()}
    others = {
        name: role["ManagedPolicyArns"]
        for name, role in service.of_type("AWS::IAM::Role").items()
        if name not in functions
    }
    assert {name: str(policies).rpartition("/")[2].rstrip("'}]") for name, policies in others.items()} == {
        "CodeDeployServiceRole": "AWSCodeDeployRoleForLambda",
        "ApiAccountLogRole": "AmazonAPIGatewayPushToCloudWatchLogs",
    }
    assert all(len(policies) == 1 for policies in others.values())
    assert not any("Policies" in service.by_id[name]["Properties"] for name in others)


def test_no_policy_of_a_resource_lets_anybody_in_who_is_not_named(service: Any) -> None:
    for name, statement in resource_statements(service):
        assert statement["Effect"] == "Allow", name
        assert statement["Principal"] not in ("*", {"AWS": "*"}), name
        if "Service" in statement["Principal"]:
            # Only on behalf of one resource or our account, never of another AWS customer.
            keys = {key for operator in statement["Condition"].values() for key in operator}
            assert keys & {"aws:SourceArn", "aws:SourceAccount"}, name
            assert "*" not in str(statement["Action"]), name


def test_only_the_key_has_a_wildcard_which_means_itself_and_only_for_its_own_account(service: Any) -> None:
    broad = [
        (name, statement["Principal"])
        for name, statement in resource_statements(service)
        if "*" in str(statement["Action"])
    ]
    assert broad == [("AlarmKey", ACCOUNT_ROOT)]  # without it nobody could change the key again
    for name, statement in resource_statements(service):
        assert statement["Resource"] != "*" or name == "AlarmKey"


def resource_statements(service: Any) -> list[tuple[str, Any]]:
    found = []
    for name, resource in service.by_id.items():
        properties = resource.get("Properties", {})
        for key in ("PolicyDocument", "KeyPolicy"):
            found += [(name, statement) for statement in properties.get(key, {}).get("Statement", [])]
        if resource["Type"] == "AWS::Events::EventBusPolicy":
            found.append((name, properties["Statement"]))
    return found


# --- Web ACL ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def rules(service: Any) -> dict[str, Any]:
    """The rules of the web ACL by name, the optional one included."""
    acl = service.the("AWS::WAFv2::WebACL")
    assert acl["DefaultAction"] == {"Allow": {}}
    listed = [rule["Fn::If"][1] if "Fn::If" in rule else rule for rule in acl["Rules"]]
    assert all(rule["Action"] == {"Block": {}} for rule in listed)
    return {rule["Name"]: rule["Statement"] for rule in listed}


def test_the_web_acl_is_an_option_and_stands_before_the_stage(written: dict[str, Any], service: Any) -> None:
    assert written["Parameters"]["WebAcl"]["Default"] == "false"
    for name in ("PaymentsWebAcl", "PaymentsWebAclAssociation"):
        assert service.by_id[name]["Condition"] == "HasWebAcl"
    association = service.the("AWS::WAFv2::WebACLAssociation")
    assert association["WebACLArn"] == {"Fn::GetAtt": ["PaymentsWebAcl", "Arn"]}
    assert "/restapis/${PaymentsApi}/stages/${PaymentsApiStage}" in association["ResourceArn"]["Fn::Sub"]


def test_the_web_acl_keeps_no_samples_since_they_hold_the_tokens(service: Any) -> None:
    assert json.dumps(service.the("AWS::WAFv2::WebACL")).count('"SampledRequestsEnabled": false') == 4
    assert '"SampledRequestsEnabled": true' not in json.dumps(service.the("AWS::WAFv2::WebACL"))
    assert not service.of_type("AWS::WAFv2::LoggingConfiguration")


def test_one_address_is_limited_on_everything_but_the_webhook(rules: dict[str, Any]) -> None:
    rate = rules["too-many-from-one-address"]["RateBasedStatement"]
    assert (rate["AggregateKeyType"], rate["Limit"]) == ("IP", {"Ref": "WebAclRateLimit"})
    spared = rate["ScopeDownStatement"]["NotStatement"]["Statement"]["RegexMatchStatement"]["RegexString"]
    assert names_the_webhook(spared)


def test_bodies_larger_than_any_of_ours_are_blocked(service: Any, rules: dict[str, Any]) -> None:
    size = rules["large-bodies"]["SizeConstraintStatement"]
    assert (size["ComparisonOperator"], size["Size"]) == ("GT", 64 * 1024)
    assert size["FieldToMatch"] == {"Body": {"OversizeHandling": "MATCH"}}
    inspected = service.the("AWS::WAFv2::WebACL")["AssociationConfig"]["RequestBody"]
    assert inspected == {"API_GATEWAY": {"DefaultSizeInspectionLimit": "KB_64"}}


def test_razorpays_addresses_are_an_option_for_the_webhook_alone(
    written: dict[str, Any], service: Any, rules: dict[str, Any]
) -> None:
    assert written["Parameters"]["WebhookFromRazorpayOnly"]["Default"] == "false"
    optional = service.the("AWS::WAFv2::WebACL")["Rules"][2]["Fn::If"]
    assert (optional[0], optional[2]) == ("LimitsWebhookSenders", {"Ref": "AWS::NoValue"})
    path, sender = rules["webhook-from-elsewhere"]["AndStatement"]["Statements"]
    assert names_the_webhook(path["RegexMatchStatement"]["RegexString"])
    assert sender == {
        "NotStatement": {
            "Statement": {"IPSetReferenceStatement": {"Arn": {"Fn::GetAtt": ["RazorpayAddresses", "Arn"]}}}
        }
    }
    assert service.by_id["RazorpayAddresses"]["Condition"] == "LimitsWebhookSenders"
    assert len(service.the("AWS::WAFv2::IPSet")["Addresses"]) == 11


def test_no_option_turns_the_signature_off(written: dict[str, Any]) -> None:
    for function in FUNCTIONS:
        variables = written["Resources"][function]["Properties"].get("Environment", {}).get("Variables", {})
        assert not {"WebAcl", "WebhookFromRazorpayOnly"} & set(re.findall(r"\w+", json.dumps(variables)))


def names_the_webhook(regex: str) -> bool:
    paths = [WEBHOOK_PATH, f"{WEBHOOK_PATH}/", f"/production{WEBHOOK_PATH}", f"/production{WEBHOOK_PATH}/"]
    others = ["/api/payments/verify/", f"/production/verify{WEBHOOK_PATH}", f"{WEBHOOK_PATH}/verify", "/webhook"]
    return all(re.search(regex, path) for path in paths) and not any(re.search(regex, path) for path in others)


# --- Queues -----------------------------------------------------------------------------------------------------------


def test_every_queue_is_encrypted_and_keeps_what_it_holds_for_as_long_as_sqs_can(service: Any) -> None:
    queues = service.of_type("AWS::SQS::Queue")
    assert set(queues) == {"OutboxDeadLetters", "ReconcileDeadLetters", "ReviewQueue", "ReviewDeadLetters"}
    for queue in queues.values():
        assert queue["SqsManagedSseEnabled"] is True
        assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600


def test_each_dead_letter_queue_takes_from_one_side_and_can_give_back_to_it(service: Any) -> None:
    queues = service.of_type("AWS::SQS::Queue")
    for runs in ("OutboxDeadLetters", "ReconcileDeadLetters"):
        assert queues[runs]["RedriveAllowPolicy"] == {"redrivePermission": "denyAll"}
    redrive = queues["ReviewQueue"]["RedrivePolicy"]
    assert redrive["deadLetterTargetArn"] == {"Fn::GetAtt": ["ReviewDeadLetters", "Arn"]}
    allowed = queues["ReviewDeadLetters"]["RedriveAllowPolicy"]
    assert allowed["redrivePermission"] == "byQueue"
    (source,) = allowed["sourceQueueArns"]
    assert text(source).endswith(text(queues["ReviewQueue"]["QueueName"]))


def test_every_review_reaches_a_queue_for_persons(service: Any) -> None:
    rule = service.by_id["ReviewRule"]["Properties"]
    assert rule["EventPattern"] == {"source": ["payment-service"], "detail-type": ["payment.review"]}
    assert rule["EventBusName"] == {"Ref": "PaymentsBus"}
    assert rule["Targets"][0]["Arn"] == {"Fn::GetAtt": ["ReviewQueue", "Arn"]}


def test_every_dispute_that_wants_an_answer_reaches_the_same_queue(service: Any) -> None:
    rule = service.by_id["DisputeRule"]["Properties"]
    assert rule["EventPattern"] == {
        "source": ["payment-service"],
        "detail-type": ["payment.dispute_changed"],
        "detail": {"dispute": {"state": ["open", "action_required"]}},
    }
    assert rule["EventBusName"] == {"Ref": "PaymentsBus"}
    assert rule["Targets"][0]["Arn"] == {"Fn::GetAtt": ["ReviewQueue", "Arn"]}
    (statement,) = service.by_id["ReviewQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    allowed = {source["Fn::GetAtt"][0] for source in statement["Condition"]["ArnEquals"]["aws:SourceArn"]}
    assert allowed == {"ReviewRule", "DisputeRule"}


# --- Deployment -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", ON_TRIAL)
def test_a_new_version_takes_over_step_by_step_and_goes_back_when_its_alarm_goes_off(
    service: Any, function: str
) -> None:
    group = service.by_id[f"{function}DeploymentGroup"]["Properties"]
    assert group["AutoRollbackConfiguration"]["Enabled"] is True
    assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
    alarm = function.replace("Function", "VersionBroken")
    assert group["AlarmConfiguration"] == {"Enabled": True, "Alarms": [{"Name": {"Ref": alarm}}]}
    assert group["DeploymentConfigName"] == code_deploy_steps("Canary10Percent5Minutes")
    alias = service.by_id[f"{function}Aliaslive"]
    deployment = alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    assert deployment["DeploymentGroupName"] == {"Ref": f"{function}DeploymentGroup"}


@pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - set(ON_TRIAL)))
def test_a_function_that_runs_once_a_minute_changes_at_once_and_no_alarm_keeps_its_fix_out(
    service: Any, function: str
) -> None:
    group = service.by_id[f"{function}DeploymentGroup"]["Properties"]
    assert group["DeploymentConfigName"] == code_deploy_steps("AllAtOnce")
    assert "AlarmConfiguration" not in group


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_alarm_of_a_broken_function_looks_at_the_alias_that_serves_it(service: Any, function: str) -> None:
    metrics = of_alarm(service.by_id[function.replace("Function", "Broken")]["Properties"])
    (errors,) = [metric for metric in metrics if metric.namespace == "AWS/Lambda"]
    assert errors.name == "Errors"
    assert dict(errors.dimensions) == {"FunctionName": f"${{{function}}}", "Resource": f"${{{function}}}:live"}


@pytest.mark.parametrize("function", ON_TRIAL)
def test_the_alarm_that_takes_a_version_back_looks_at_that_version_alone(service: Any, function: str) -> None:
    alarm = service.by_id[function.replace("Function", "VersionBroken")]["Properties"]
    (version,) = [
        name
        for name, properties in service.of_type("AWS::Lambda::Version").items()
        if properties["FunctionName"] == {"Ref": function}
    ]
    number = f"${{{version}.Version}}"
    crashes, answers = of_alarm(alarm)
    assert (crashes.namespace, crashes.name) == ("AWS/Lambda", "Errors")
    assert dict(crashes.dimensions) == {
        "FunctionName": f"${{{function}}}",
        "Resource": f"${{{function}}}:live",
        "ExecutedVersion": number,
    }
    assert (answers.name, dict(answers.dimensions)["version"]) == ("InternalErrors", number)
    # In its name too: an old alarm in ALARM whose metric changed stays in ALARM, and CodeDeploy would refuse the fix.
    assert text(alarm["AlarmName"]).endswith(f"-{number}")


@pytest.mark.parametrize("function", ON_TRIAL)
def test_the_failures_of_a_version_are_counted_from_what_its_function_logs(service: Any, function: str) -> None:
    found = service.by_id[function.replace("Function", "VersionErrors")]["Properties"]
    assert found["LogGroupName"] == {"Ref": function.replace("Function", "LogGroup")}
    assert conditions_of(found["FilterPattern"]) == {"http_status": 500, "function_version": "*"}
    ((namespace, name, fields),) = filtered(found)
    assert (namespace, name) == ("Payments/${Stage}", "InternalErrors")
    assert fields == {"service": "service", "version": "function_version"}


def test_gradual_deployment_can_be_left_out_for_one_deployment_and_comes_back_with_the_next() -> None:
    # `sam deploy` keeps the old value of a parameter that samconfig.toml does not name.
    for stage in ("staging", "production"):
        assert configured(stage)["GradualDeployment"] == "true"


@pytest.mark.parametrize(
    "steps", ["Canary10Percent5Minutes", "Canary10Percent30Minutes", "Linear10PercentEvery1Minute"]
)
def test_the_steps_are_a_parameter(steps: str) -> None:
    resources = transformed(PROJECT / "template.yaml", "Stage=staging", "CorsOrigin=*", f"DeploymentSteps={steps}")
    for function in ON_TRIAL:
        assert resources.by_id[f"{function}DeploymentGroup"]["Properties"]["DeploymentConfigName"] == code_deploy_steps(
            steps
        )
    group = resources.by_id["WebhookFunctionDeploymentGroup"]["Properties"]
    assert group["DeploymentConfigName"] == code_deploy_steps(steps)


def code_deploy_steps(name: str) -> Any:
    return {"Fn::Sub": ["CodeDeployDefault.Lambda${ConfigName}", {"ConfigName": name}]}


def test_a_stage_that_may_break_needs_no_code_deploy(local: Resources) -> None:
    assert not [name for name, resource in local.by_id.items() if "CodeDeploy" in name + resource["Type"]]
    assert "UpdatePolicy" not in local.by_id["WebhookFunctionAliaslive"]


# --- Alarms -----------------------------------------------------------------------------------------------------------

# The metrics that need an alarm, and everything else the functions count.
ALARMS = {
    "ApiServerErrors": ("5XXError", "notBreaching"),
    "WebhookSlow": ("Latency", "notBreaching"),
    "ForgedWebhooks": ("SignatureFailures", "notBreaching"),
    "ForgedCheckouts": ("SignatureFailures", "notBreaching"),
    "OutboxOverdue": ("OldestOutboxSeconds", "breaching"),
    "OverdueRecords": ("OldestDueSeconds", "breaching"),
    "SweepLag": ("SweepLagSeconds", "breaching"),
    "ExpiryLag": ("ExpiryLagSeconds", "breaching"),
    "ReviewsWaiting": ("ApproximateNumberOfMessagesVisible", "notBreaching"),
    "DeadLetters": ("ApproximateNumberOfMessagesVisible", "notBreaching"),
    "Throttled": ("Throttles", "notBreaching"),
    "IndexesThrottled": ("WriteThrottleEvents", "notBreaching"),
    "OutboxFailures": ("OutboxFailures", "notBreaching"),
    "ReconcileFailures": ("ReconcileFailures", "notBreaching"),
    "SweepFailures": ("SweepFailures", "notBreaching"),
    "SetAside": ("SetAside", "notBreaching"),
    "UnknownOrders": ("UnknownOrders", "notBreaching"),
    "GatewayPauses": ("GatewayPauses", "notBreaching"),
    "WebhooksMissing": ("Reconciled", "notBreaching"),
    "UnusableEvents": ("UnusableEvents", "notBreaching"),
    "GivenUp": ("GivenUp", "notBreaching"),
    "DroppedAttempts": ("DroppedAttempts", "notBreaching"),
    "KeySetFailures": ("KeySetFailures", "notBreaching"),
    "StaleSecrets": ("StaleSecrets", "notBreaching"),
    "CreateOrderBroken": ("ConfigurationErrors", "notBreaching"),
    "VerifyBroken": ("ConfigurationErrors", "notBreaching"),
    "WebhookBroken": ("ConfigurationErrors", "notBreaching"),
    "RefundBroken": ("ConfigurationErrors", "notBreaching"),
    "OutboxBroken": ("ConfigurationErrors", "notBreaching"),
    "ReconcileBroken": ("ConfigurationErrors", "notBreaching"),
    "CreateOrderVersionBroken": ("InternalErrors", "notBreaching"),
    "VerifyVersionBroken": ("InternalErrors", "notBreaching"),
    "WebhookVersionBroken": ("InternalErrors", "notBreaching"),
    "RefundVersionBroken": ("InternalErrors", "notBreaching"),
}
# The alarm of a version's canary; its name ends in the version's number.
OF_VERSIONS = {"CreateOrderVersionBroken", "VerifyVersionBroken", "WebhookVersionBroken", "RefundVersionBroken"}
TOPIC = [{"Fn::If": ["CreateAlarmTopic", {"Ref": "AlarmTopic"}, {"Ref": "AlarmTopicArn"}]}]


def test_these_are_the_alarms(service: Any) -> None:
    assert set(service.of_type("AWS::CloudWatch::Alarm")) == set(ALARMS)


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_tells_somebody_both_ways_and_says_what_missing_data_means(service: Any, name: str) -> None:
    metric, missing = ALARMS[name]
    alarm = service.by_id[name]["Properties"]
    assert metric in {of.name for of in of_alarm(alarm)}
    assert alarm["AlarmActions"] == alarm["OKActions"] == TOPIC
    assert alarm["TreatMissingData"] == missing
    assert "docs/runbook.md" in alarm["AlarmDescription"]


def test_each_choice_about_missing_data_has_its_reason_beside_it() -> None:
    # The alarms of versions share one.
    for template, choices in (("monitoring.yaml", len(ALARMS) - len(OF_VERSIONS)), ("template.yaml", 1)):
        lines = (PROJECT / template).read_text().splitlines()
        chosen = [number for number, line in enumerate(lines) if "TreatMissingData:" in line]
        assert len(chosen) == choices
        assert all(lines[number - 1].lstrip().startswith("# ") for number in chosen)


def test_the_limits_are_those_that_were_asked_for(service: Any) -> None:
    slow = service.by_id["WebhookSlow"]["Properties"]
    assert (slow["ExtendedStatistic"], slow["ComparisonOperator"], slow["Threshold"]) == (
        "p99",
        "GreaterThanThreshold",
        3000,
    )
    (metric,) = of_alarm(slow)
    assert dict(metric.dimensions)["Resource"] == WEBHOOK_PATH
    overdue = service.by_id["OverdueRecords"]["Properties"]
    assert (overdue["Statistic"], overdue["Threshold"]) == ("Maximum", 300)
    # Design, invariant I22: nothing delays a pending event by more than two minutes.
    outbox = service.by_id["OutboxOverdue"]["Properties"]
    assert (outbox["Statistic"], outbox["ComparisonOperator"], outbox["Threshold"]) == (
        "Maximum",
        "GreaterThanThreshold",
        120,
    )


def test_what_stays_unknown_is_shown_for_as_long_as_it_is_asked_about_once_a_day(service: Any) -> None:
    unknown = service.by_id["UnknownOrders"]["Properties"]
    assert (unknown["Statistic"], unknown["Period"], unknown["Threshold"]) == ("Sum", 24 * 3600, 1)


def test_something_set_aside_is_told_of_once_it_is_no_passing_failure(service: Any) -> None:
    # A metric sent every five minutes: the minimum of a period is above zero only if it always was.
    aside = service.by_id["SetAside"]["Properties"]
    assert (aside["Statistic"], aside["Threshold"]) == ("Minimum", 1)
    assert aside["Period"] * aside["DatapointsToAlarm"] == 30 * 60


@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_event_that_is_none_of_its_own_sets_a_functions_alarm_off(service: Any, function: str) -> None:
    # It is counted as a configuration error and raised, whoever invoked the function and under whichever name.
    metrics = of_alarm(service.by_id[function.replace("Function", "Broken")]["Properties"])
    assert {"Errors", "ConfigurationErrors"} <= {metric.name for metric in metrics}


def test_the_metrics_of_the_webhook_by_itself_are_kept(service: Any) -> None:
    (webhook,) = [
        settings
        for settings in service.the("AWS::ApiGateway::Stage")["MethodSettings"]
        if settings["ResourcePath"] == "/~1api~1payments~1webhook"
    ]
    assert webhook["MetricsEnabled"] is True


def test_every_function_and_the_table_is_watched_for_throttling_and_the_webhook_at_the_door_too(service: Any) -> None:
    metrics = of_alarm(service.by_id["Throttled"]["Properties"])
    throttled = {dict(m.dimensions)["FunctionName"] for m in metrics if m.name == "Throttles"}
    assert throttled == {f"${{{function}}}" for function in FUNCTIONS}
    assert "ThrottledDeliveries" in {m.name for m in metrics}
    for name in ("ReadThrottleEvents", "WriteThrottleEvents"):
        assert [dict(m.dimensions) for m in metrics if m.name == name] == [{"TableName": "${PaymentsTable}"}]
    assert len(metrics) <= 10  # CloudWatch allows no more in one alarm
    at_the_door = service.by_id["ThrottledDeliveries"]["Properties"]
    assert conditions_of(at_the_door["FilterPattern"]) == {"http_status": 429, "route": WEBHOOK_PATH}
    assert at_the_door["LogGroupName"] == {"Ref": "ApiAccessLogGroup"}


def test_every_index_is_watched_for_throttling_since_dynamodb_counts_it_apart_from_its_table(service: Any) -> None:
    metrics = of_alarm(service.by_id["IndexesThrottled"]["Properties"])
    indexes = [index["IndexName"] for index in service.the("AWS::DynamoDB::Table")["GlobalSecondaryIndexes"]]
    assert sorted((m.name, sorted(dict(m.dimensions).items())) for m in metrics) == sorted(
        (name, [("GlobalSecondaryIndexName", index), ("TableName", "${PaymentsTable}")])
        for index in indexes
        for name in ("ReadThrottleEvents", "WriteThrottleEvents")
    )
    assert len(metrics) <= 10


@pytest.mark.parametrize("name", [name for name in ALARMS if name != "WebhookSlow"])
def test_an_expression_uses_every_metric_it_names(service: Any, name: str) -> None:
    queries = service.by_id[name]["Properties"].get("Metrics", [])
    results = [query for query in queries if query["ReturnData"]]
    assert len(results) == bool(queries)
    expressions = " ".join(query["Expression"] for query in queries if "Expression" in query)
    used = set(re.findall(r"\b[a-z]\w*", expressions))
    assert used == {query["Id"] for query in queries if not query["ReturnData"]}
    assert len({query["MetricStat"]["Period"] for query in queries if "MetricStat" in query}) == bool(queries)


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_on_a_sum_can_go_off_although_its_metrics_come_late(service: Any, name: str) -> None:
    # CloudWatch user guide, metric math, FILL: the newest point of a late metric is always the fill value, so the alarm
    # would be stuck. M out of N periods, so that a late point still counts.
    alarm = service.by_id[name]["Properties"]
    assert "FILL" not in json.dumps(alarm)
    if "Metrics" in alarm:
        assert alarm["DatapointsToAlarm"] < alarm["EvaluationPeriods"]
        # `a + b` has no value if one of the two has none.
        sums = [query["Expression"] for query in alarm["Metrics"] if "Expression" in query]
        assert not [expression for expression in sums if "+" in expression]


@pytest.mark.parametrize(
    ("settled", "deliveries", "forged", "goes_off"),
    [
        (None, None, None, None),
        (None, 3, None, None),
        (1, None, None, True),
        (1, 3, None, False),
        (1, 3, 3, True),
        (19, 1, None, False),
        (20, 50, None, True),
    ],
)
def test_missing_webhooks_are_told_from_a_quiet_night(
    service: Any, settled: int | None, deliveries: int | None, forged: int | None, goes_off: bool | None
) -> None:
    queries = service.by_id["WebhooksMissing"]["Properties"]["Metrics"]
    values: dict[str, float | None] = {"settled": settled, "deliveries": deliveries, "forged": forged}
    for query in [query for query in queries if "Expression" in query]:
        values[query["Id"]] = evaluated(query["Expression"], values)
    expected = None if goes_off is None else float(goes_off)
    assert values["missing"] == expected


def evaluated(expression: str, values: dict[str, float | None]) -> float | None:
    """CloudWatch's result for an expression in one period: none if a value is missing, except in a list."""
    if listed := re.fullmatch(r"SUM\(\[(.*)\]\)", expression):
        given = [values[name] for name in listed[1].split(", ") if values[name] is not None]
        return sum(value for value in given if value is not None) if given else None
    if (choice := re.fullmatch(r"IF\((.*), 1, 0\)", expression)) is not None:
        condition = choice[1].replace("AND", "and").replace("OR", "or")
        known = {name: values[name] for name in set(re.findall(r"[a-z]\w*", condition)) - {"and", "or"}}
        if None in known.values():
            return None
        return float(eval(condition, {"__builtins__": {}}, known))  # noqa: S307 - the template's own comparison
    name, factor = re.fullmatch(r"(\w+) \* (-?\d+)", expression).groups()  # type: ignore[union-attr]
    value = values[name]
    return None if value is None else value * int(factor)


def test_the_topic_is_made_unless_one_is_given_and_encrypted_with_a_key_that_cloudwatch_may_use(service: Any) -> None:
    for name in ("AlarmTopic", "AlarmTopicPolicy", "AlarmKey"):
        assert service.by_id[name]["Condition"] == "CreateAlarmTopic"
    assert service.by_id["AlarmEmailSubscription"]["Condition"] == "WritesToSomebody"
    assert service.the("AWS::SNS::Topic")["KmsMasterKeyId"] == {"Ref": "AlarmKey"}
    key = service.the("AWS::KMS::Key")
    assert key["EnableKeyRotation"] is True
    (cloudwatch,) = [s for s in key["KeyPolicy"]["Statement"] if "Service" in s["Principal"]]
    assert cloudwatch["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert cloudwatch["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]


# --- Dashboard --------------------------------------------------------------------------------------------------------


@pytest.fixture
def dashboard(service: Any) -> str:
    body: str = service.the("AWS::CloudWatch::Dashboard")["DashboardBody"]["Fn::Sub"]
    return body


def test_the_dashboard_begins_with_the_state_of_every_alarm(service: Any, dashboard: str) -> None:
    first = json.loads(dashboard)["widgets"][0]
    assert (first["type"], first["x"], first["y"], first["width"]) == ("alarm", 0, 0, 24)
    shown = {arn.rpartition(":")[2] for arn in first["properties"]["alarms"]}
    # Except alarms of single versions, which matter only during a canary.
    alarms = {n: a for n, a in service.of_type("AWS::CloudWatch::Alarm").items() if n not in OF_VERSIONS}
    assert shown == {text(alarm["AlarmName"]) for alarm in alarms.values()}


def test_the_dashboard_has_its_region_in_its_name_since_dashboards_belong_to_the_account(
    written: dict[str, Any], service: Any
) -> None:
    name = service.the("AWS::CloudWatch::Dashboard")["DashboardName"]["Fn::Sub"]
    assert name == "payments-${Stage}-${AWS::Region}"
    assert written["Outputs"]["DashboardUrl"]["Value"]["Fn::Sub"].endswith(f"#dashboards:name={name}")


def test_the_dashboard_fits_one_screen_and_shows_metrics_that_exist(service: Any, dashboard: str) -> None:
    widgets = json.loads(dashboard)["widgets"]
    assert len(widgets) <= 5
    assert max(widget["y"] + widget["height"] for widget in widgets) <= 16
    watched = {m for alarm in service.of_type("AWS::CloudWatch::Alarm").values() for m in of_alarm(alarm)}
    shown = set(of_dashboard(dashboard))
    assert len(shown) >= 10
    # Traffic is only shown; it has no alarm.
    assert {metric for metric in shown - watched if metric.name != "Invocations"} == set()


def test_the_dashboard_names_nothing_that_the_template_does_not_have(written: dict[str, Any], dashboard: str) -> None:
    names = {name.partition(".")[0] for name in re.findall(r"\$\{([\w:.]+)\}", dashboard)}
    assert {name for name in names if not name.startswith("AWS::")} <= {*written["Resources"], *written["Parameters"]}


# --- Local ------------------------------------------------------------------------------------------------------------


def test_what_only_aws_has_is_conditional_and_off_on_a_local_stage(written: dict[str, Any], local: Resources) -> None:
    refused = (
        "AWS::CodeDeploy::",
        "AWS::WAFv2::WebACLAssociation",
        "AWS::WAFv2::IPSet",
        "AWS::Events::EventBusPolicy",
        "AWS::ApiGateway::DomainName",
        "AWS::Route53::",
    )
    conditions = {resource["Condition"] for resource in local.by_id.values() if resource["Type"].startswith(refused)}
    assert conditions == {"HasWebAcl", "LimitsWebhookSenders", "HasSubscriberAccounts", "HasDomain", "HasHostedZone"}
    assert written["Parameters"]["SubscriberAccounts"]["Default"] == ""


@pytest.mark.parametrize("stage", ["local", "staging", "production"])
def test_each_stage_is_configured_with_values_that_the_template_takes(written: dict[str, Any], stage: str) -> None:
    overrides = configured(stage)
    for name, value in overrides.items():
        parameter = written["Parameters"][name]
        # The values that each deployment must set are examples, which are refused.
        is_example = "example.com" in value
        assert bool(re.search(parameter.get("AllowedPattern", ""), value)) is not is_example, name
        assert not is_example or parameter["ConstraintDescription"]
        assert value in [str(allowed) for allowed in parameter.get("AllowedValues", [value])], name
    assert overrides["Stage"] == stage
    assert (overrides.get("GradualDeployment") == "false") == (stage == "local")
    assert overrides.get("SnapStart", "None") == ("None" if stage == "local" else "PublishedVersions")


@pytest.mark.parametrize("stage", ["staging", "production"])
def test_what_each_deployment_must_say_for_itself_is_refused_as_it_is_delivered(stage: str) -> None:
    examples = {name for name, value in configured(stage).items() if "example.com" in value}
    assert examples == {"CorsOrigin", "AlarmEmail"}


@pytest.mark.parametrize(
    ("parameter", "value", "allowed"),
    [
        ("CorsOrigin", "https://example.com", False),
        ("CorsOrigin", "https://a.b.example.com:8443", False),
        ("CorsOrigin", "http://www.example.org", False),
        ("CorsOrigin", "https://myexample.com", True),
        ("CorsOrigin", "https://example.com.shop.in", True),
        ("CorsOrigin", "https://app.shop.in", True),
        ("CorsOrigin", "http://localhost:3000", True),
        ("CorsOrigin", "*", True),
        ("CorsOrigin", "https://app.shop.in/", False),
        ("AlarmEmail", "", True),
        ("AlarmEmail", "on-call@example.com", False),
        ("AlarmEmail", "on-call@mail.example.net", False),
        ("AlarmEmail", "on-call@myexample.com", True),
        ("AlarmEmail", "example.com@shop.in", True),
        ("DomainName", "", True),
        ("DomainName", "payments.shop.in", True),
        ("DomainName", "payments.example.com", False),
        ("DomainName", "https://payments.shop.in", False),
        ("DomainName", "shop", False),
        ("DomainHostedZoneId", "Z0123456789ABCDEFGHIJ", True),
        ("DomainHostedZoneId", "/hostedzone/Z0123456789ABCDEFGHIJ", False),
    ],
)
def test_an_address_of_somebody_elses_domain_stops_the_deployment(
    written: dict[str, Any], parameter: str, value: str, *, allowed: bool
) -> None:
    assert bool(re.search(written["Parameters"][parameter]["AllowedPattern"], value)) is allowed


@pytest.mark.parametrize("stage", ["local", "staging", "production"])
def test_what_is_built_and_what_is_deployed_are_told_the_same_parameters(stage: str) -> None:
    # Set in one place, so that nothing is built for one processor and deployed on another.
    assert [command for command, of in STAGES[stage].items() if "parameter_overrides" in of["parameters"]] == ["global"]
    done = subprocess.run(  # noqa: S603 - fixed command
        [SAM_ENVIRONMENT / "python", "-c", READ_BY_SAM, PROJECT, stage],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    build, deploy = json.loads(done.stdout)
    assert build == deploy == [f"{name}={value}" for name, value in configured(stage).items()]
    assert ("Architecture" in configured(stage)) == (stage != "local")


READ_BY_SAM = """
import json, sys
from samcli.lib.config.samconfig import SamConfig
config = SamConfig(sys.argv[1], "samconfig.toml")
read = [config.get_all([command], "parameters", env=sys.argv[2]) for command in ("build", "deploy")]
print(json.dumps([of["parameter_overrides"] for of in read]))
"""


def test_every_default_is_a_value_that_the_template_takes(written: dict[str, Any]) -> None:
    for name, parameter in written["Parameters"].items():
        if "Default" in parameter and "AllowedPattern" in parameter:
            assert re.search(parameter["AllowedPattern"], parameter["Default"]), name
