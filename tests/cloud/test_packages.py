"""Packaging a built template."""

import io
import json
import os
import zipfile
from pathlib import Path

import pytest

from sandbox.cloud.packages import archive_of, content_name, read_template, read_whole, with_uploaded_artefacts


def make_function(folder: Path) -> Path:
    folder.mkdir()
    (folder / "app.py").write_text("x = 1\n")
    (folder / "tool").write_text("#!/bin/sh\n")
    (folder / "tool").chmod(0o755)
    return folder


def test_the_same_files_give_the_same_archive_whenever_they_were_written(tmp_path: Path) -> None:
    first = archive_of(make_function(tmp_path / "a"))
    second_folder = make_function(tmp_path / "b")
    os.utime(second_folder / "app.py", (0, 0))

    assert archive_of(second_folder) == first


def test_another_content_gives_another_name(tmp_path: Path) -> None:
    folder = make_function(tmp_path / "a")
    before = content_name(archive_of(folder))
    (folder / "app.py").write_text("x = 2\n")

    assert content_name(archive_of(folder)) != before


def test_an_executable_file_stays_executable(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(archive_of(make_function(tmp_path / "a")))) as archive:
        assert archive.getinfo("tool").external_attr >> 16 & 0o111


def test_local_folders_are_uploaded_once_each_and_the_rest_of_the_template_is_kept(tmp_path: Path) -> None:
    make_function(tmp_path / "f")
    template = tmp_path / "template.yaml"
    template.write_text(
        """
Globals: {Function: {CodeUri: f}}
Resources:
  A: {Type: AWS::Serverless::Function, Properties: {CodeUri: f, Role: !GetAtt R.Arn}}
  B: {Type: AWS::Serverless::Function, Properties: {CodeUri: f}}
  C: {Type: AWS::Serverless::Function, Properties: {CodeUri: s3://bucket/key}}
  D: {Type: AWS::Serverless::Function, Properties: {InlineCode: pass}}
  Q: {Type: AWS::SQS::QueuePolicy, Properties: {PolicyDocument: {Version: 2012-10-17, X: !Sub "${A}-x"}}}
"""
    )
    uploads: list[bytes] = []

    def upload(archive: bytes) -> str:
        uploads.append(archive)
        return "s3://here/it-is"

    packaged = with_uploaded_artefacts(template, upload, str)
    resources = packaged["Resources"]

    assert len(uploads) == 1
    assert resources["A"]["Properties"] == {"CodeUri": "s3://here/it-is", "Role": {"Fn::GetAtt": ["R", "Arn"]}}
    assert resources["B"]["Properties"]["CodeUri"] == "s3://here/it-is"
    assert packaged["Globals"]["Function"]["CodeUri"] == "s3://here/it-is"
    assert resources["C"]["Properties"]["CodeUri"] == "s3://bucket/key"
    assert resources["Q"]["Properties"]["PolicyDocument"] == {"Version": "2012-10-17", "X": {"Fn::Sub": "${A}-x"}}


def test_the_short_forms_of_cloudformation_are_written_out(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text("a: !If [C, !Ref X, !Condition D]\nb: !Sub {x: 1}\n")

    assert read_template(template) == {
        "a": {"Fn::If": ["C", {"Ref": "X"}, {"Condition": "D"}]},
        "b": {"Fn::Sub": {"x": 1}},
    }


def test_each_use_of_an_anchor_is_a_block_of_its_own(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text("a: &block {x: [1]}\nb: *block\nc: {<<: *block, y: 2}\n")

    read = read_template(template)
    read["a"]["x"].append(2)
    assert read == {"a": {"x": [1, 2]}, "b": {"x": [1]}, "c": {"x": [1], "y": 2}}


NESTING = """
Resources:
  Queue: {Type: AWS::SQS::Queue}
  Watch:
    Type: AWS::Serverless::Application
    Properties:
      Location: watch.yaml
      Parameters: {QueueName: !GetAtt Queue.QueueName, Stage: !Ref Stage, Table: !If [Own, !Ref A, !Ref B]}
"""
NESTED = """
Parameters: {QueueName: {Type: String}, Stage: {Type: String}, Table: {Type: String}}
Resources:
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties: {AlarmName: !Sub "${Stage}-${QueueName}-${AWS::Region}", Namespace: !Ref QueueName, Unit: %s}
"""


def test_nested_resources_are_read_as_if_they_stood_in_the_template(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(NESTING)
    (tmp_path / "watch.yaml").write_text(NESTED % "!Ref Table")

    resources = read_whole(tmp_path / "template.yaml")["Resources"]

    assert resources.keys() == {"Queue", "Alarm"}
    assert resources["Alarm"]["Properties"] == {
        "AlarmName": {"Fn::Sub": "${Stage}-${Queue.QueueName}-${AWS::Region}"},
        "Namespace": {"Fn::GetAtt": ["Queue", "QueueName"]},
        "Unit": {"Fn::If": ["Own", {"Ref": "A"}, {"Ref": "B"}]},
    }


def test_a_value_that_is_no_reference_cannot_be_read_into_a_text(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(NESTING)
    (tmp_path / "watch.yaml").write_text(NESTED % '!Sub "${Table}"')

    with pytest.raises(ValueError, match=r"\$\{Table\} stands for"):
        read_whole(tmp_path / "template.yaml")


def test_a_logical_id_that_both_templates_have_cannot_be_told_apart(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(NESTING)
    (tmp_path / "watch.yaml").write_text("Resources: {Queue: {Type: AWS::SQS::Queue}}")

    with pytest.raises(ValueError, match="Queue is in the template and in Watch"):
        read_whole(tmp_path / "template.yaml")


def test_nested_resources_have_the_condition_of_their_application_or_one_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(NESTING.replace("Properties:\n", "Condition: Wanted\n    Properties:\n"))
    (tmp_path / "watch.yaml").write_text(
        "Resources: {A: {Type: AWS::SQS::Queue}, B: {Type: AWS::SQS::Queue, Condition: More}}"
    )

    resources = read_whole(tmp_path / "template.yaml")["Resources"]
    assert (resources["A"]["Condition"], resources["B"]["Condition"]) == ("Wanted", "More")


def test_a_nested_template_is_uploaded_and_named_by_its_url(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(NESTING)
    (tmp_path / "watch.yaml").write_text(NESTED % "Count")
    uploads: list[bytes] = []

    def upload(content: bytes) -> str:
        uploads.append(content)
        return "s3://here/it-is"

    packaged = with_uploaded_artefacts(
        tmp_path / "template.yaml", upload, lambda address: address.replace("s3", "https")
    )

    assert packaged["Resources"]["Watch"]["Properties"]["Location"] == "https://here/it-is"
    assert [json.loads(content) for content in uploads] == [read_template(tmp_path / "watch.yaml")]
