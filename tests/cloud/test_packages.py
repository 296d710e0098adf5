"""Packing a built template."""

import io
import os
import zipfile
from pathlib import Path

from sandbox.cloud.packages import archive_of, content_name, read_template, with_uploaded_artefacts


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

    packaged = with_uploaded_artefacts(template, upload)
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
