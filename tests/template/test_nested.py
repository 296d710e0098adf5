"""template.yaml and its nested applications: together they create exactly what reference.json says."""

import json
import tomllib
from typing import Any

import pytest

from sandbox.cloud.packages import NESTED_APPLICATION, read_template
from tests.template.reference import REFERENCE, digests_of
from tests.template.transform import PROJECT, Resources

NESTED = {"Monitoring": "monitoring.yaml", "Firewall": "web-acl.yaml"}
# What CodeDeploy checks during a deployment must exist before the functions' aliases move.
ROLLBACK_ALARMS = {
    "CreateOrderVersionBroken",
    "VerifyVersionBroken",
    "WebhookVersionBroken",
    "RefundVersionBroken",
}
MONITORING = {"AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::Logs::MetricFilter"}


def test_the_templates_together_make_what_the_reference_says(service: Resources) -> None:
    """Moving a block between templates, or shortening it, changes nothing that is deployed.

    An intended change appears in `git diff` after

        .venv/bin/python -m tests.template.reference

    and is committed with it: one line per resource, with the changed properties.
    """
    expected = json.loads(REFERENCE.read_text())
    found = digests_of(service)
    assert found.keys() == expected.keys()
    differing = {
        name: sorted(
            key for key in found[name].keys() | expected[name].keys() if found[name].get(key) != expected[name].get(key)
        )
        for name in found
        if found[name] != expected[name]
    }
    assert differing == {}


def test_the_nested_applications_are_these(written: dict[str, Any]) -> None:
    found = {
        name: item["Properties"]["Location"]
        for name, item in written["Resources"].items()
        if item["Type"] == NESTED_APPLICATION
    }
    assert found == NESTED


@pytest.mark.parametrize("application", NESTED)
def test_every_parameter_of_a_nested_application_is_passed_by_name_and_used(
    written: dict[str, Any], application: str
) -> None:
    template = read_template(PROJECT / NESTED[application])
    passed = written["Resources"][application]["Properties"]["Parameters"]
    assert passed.keys() == template["Parameters"].keys()
    # No default, so that a forgotten parameter stops the deployment.
    assert not [name for name, parameter in template["Parameters"].items() if "Default" in parameter]
    rest = json.dumps({key: value for key, value in template.items() if key != "Parameters"})
    assert [name for name in passed if f'{{"Ref": "{name}"}}' not in rest and f"${{{name}}}" not in rest] == []


def test_alarms_metric_filters_and_the_dashboard_are_in_monitoring_but_for_the_alarms_of_a_deployment(
    written: dict[str, Any],
) -> None:
    monitoring = read_template(PROJECT / "monitoring.yaml")["Resources"]
    assert {item["Type"] for item in monitoring.values()} == MONITORING
    assert {name for name, item in written["Resources"].items() if item["Type"] in MONITORING} == ROLLBACK_ALARMS


def test_the_web_acl_is_left_out_as_a_whole_and_the_senders_of_webhooks_are_not_limited_without_it(
    written: dict[str, Any], service: Resources
) -> None:
    web_acl = read_template(PROJECT / "web-acl.yaml")
    assert written["Resources"]["Firewall"]["Condition"] == "HasWebAcl"
    assert web_acl["Conditions"] == {
        "LimitsWebhookSenders": {"Fn::Equals": [{"Ref": "WebhookFromRazorpayOnly"}, "true"]}
    }
    for name in web_acl["Resources"]:
        expected = "LimitsWebhookSenders" if name == "RazorpayAddresses" else "HasWebAcl"
        assert service.by_id[name]["Condition"] == expected


def test_every_stage_lets_the_deployment_make_nested_stacks() -> None:
    # AWS SAM developer guide, "Nested applications": without it the deployment is refused.
    stages = tomllib.loads((PROJECT / "samconfig.toml").read_text())
    deployed = {
        name: stage["deploy"]["parameters"]
        for name, stage in stages.items()
        if isinstance(stage, dict) and "deploy" in stage
    }
    assert {"local", "staging", "production"} == deployed.keys()
    for parameters in deployed.values():
        assert set(parameters["capabilities"]) == {"CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"}
