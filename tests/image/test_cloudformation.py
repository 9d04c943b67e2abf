"""The stack on a stand-in for AWS: made, looked at, and gone again."""

import base64
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from bucketzip.commands.attach_state import attach
from tests.command import COMMAND
from tests.image.bake import TOOLS
from tests.image.template import TEMPLATE, resources
from tests.servers.processes import free_port

SOURCES, DESTINATIONS = ["photos", "reports"], ["archives"]
KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"


class Aws:
    """Clients of the stand-in."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    port = free_port()
    log = tmp_path_factory.mktemp("moto") / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [TOOLS / "moto_server", "--host", "127.0.0.1", "--port", str(port)], stdout=file, stderr=file
        )
    try:
        deadline = time.monotonic() + 180
        while "Running on" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield Aws(port)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def stack(aws: Aws) -> Iterator[dict[str, str]]:
    """Its outputs."""
    ec2, formation = aws.client("ec2"), aws.client("cloudformation")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    subnet = ec2.describe_subnets()["Subnets"][0]
    image = ec2.describe_images()["Images"][0]["ImageId"]
    parameters = {
        "VpcId": vpc,
        "VpcCidr": "10.0.0.0/16",
        "SubnetId": subnet["SubnetId"],
        "AvailabilityZone": subnet["AvailabilityZone"],
        "RouteTableIds": ec2.describe_route_tables()["RouteTables"][0]["RouteTableId"],
        "SourceBuckets": ",".join(SOURCES),
        "DestinationBuckets": ",".join(DESTINATIONS),
        "KmsKeyArn": KEY,
        "SecretParameter": "/bucketzip/first-user",
        "ImageId": image,
    }
    formation.create_stack(
        StackName="zip",
        TemplateBody=TEMPLATE.read_text(),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
    )
    made = formation.describe_stacks(StackName="zip")["Stacks"][0]
    assert made["StackStatus"] == "CREATE_COMPLETE"
    yield {output["OutputKey"]: output["OutputValue"] for output in made["Outputs"]}
    formation.delete_stack(StackName="zip")
    assert aws.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"] == []
    assert aws.client("iam").list_roles()["Roles"] == []


def statements(aws: Aws, role: str) -> list[dict[str, Any]]:
    iam = aws.client("iam")
    documents = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    # Some come as Python prints them, which YAML can read too.
    parsed = [yaml.safe_load(document) if isinstance(document, str) else document for document in documents]
    return [statement for document in parsed for statement in document["Statement"]]


def test_the_role_may_do_what_it_needs_and_no_more(aws: Aws, stack: dict[str, str]) -> None:
    allowed: dict[str, set[str]] = {}
    for statement in statements(aws, stack["RoleArn"].rpartition("/")[2]):
        assert statement["Effect"] == "Allow"
        actions, resources = statement["Action"], statement["Resource"]
        for action in [actions] if isinstance(actions, str) else actions:
            for resource in [resources] if isinstance(resources, str) else resources:
                allowed.setdefault(action, set()).add(resource)
    buckets = {f"arn:*:s3:::{name}" for name in SOURCES}
    objects = {f"{bucket}/*" for bucket in buckets}
    archives = {f"arn:*:s3:::{name}/*" for name in DESTINATIONS}
    assert allowed["s3:ListBucket"] == buckets | {f"arn:*:s3:::{name}" for name in DESTINATIONS}
    assert allowed["s3:GetObject"] == objects | archives
    assert allowed["s3:PutObject"] == archives
    assert allowed["kms:Decrypt"] == {KEY}
    (parameter,) = allowed["ssm:PutParameter"]
    assert parameter.endswith(":parameter/bucketzip/first-user")
    assert not any("*" in action for action in allowed)
    assert {action for action, resources in allowed.items() if "*" in resources} == {"ec2:DescribeVolumes"}
    assert all(
        action.startswith(("s3:", "kms:", "ec2:AttachVolume", "ec2:DescribeVolumes", "ssm:PutParameter"))
        for action in allowed
    )
    assert stack["StateVolumeId"] in json.dumps(sorted(allowed["ec2:AttachVolume"]))


def test_the_first_users_secret_is_put_where_its_owner_reads_it(aws: Aws, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }
    arguments = [f"--state-dir={tmp_path}", "--secret-parameter=/bucketzip/first-user"]
    done = subprocess.run([COMMAND, "firstboot", *arguments], env=environment, capture_output=True, check=True)
    assert done.stdout + done.stderr == b""
    told = aws.client("ssm").get_parameter(Name="/bucketzip/first-user", WithDecryption=True)["Parameter"]
    assert told["Type"] == "SecureString"
    assert json.loads(told["Value"]) == json.loads((tmp_path / "initial-user.json").read_text())


def test_only_the_vpc_comes_in(aws: Aws, stack: dict[str, str]) -> None:
    (group,) = aws.client("ec2").describe_security_groups(GroupIds=[stack["SecurityGroupId"]])["SecurityGroups"]
    rules = {
        (rule["FromPort"], rule["ToPort"], *(each["CidrIp"] for each in rule["IpRanges"]))
        for rule in group["IpPermissions"]
    }
    assert rules == {(80, 80, "10.0.0.0/16"), (9100, 9100, "10.0.0.0/16")}


def test_it_launches_one_with_imdsv2_and_encrypted(aws: Aws, stack: dict[str, str]) -> None:
    ec2 = aws.client("ec2")
    (group,) = aws.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    assert group["AutoScalingGroupName"] == stack["GroupName"]
    assert (group["MinSize"], group["MaxSize"], group["DesiredCapacity"]) == (1, 1, 1)
    (template,) = ec2.describe_launch_templates()["LaunchTemplates"]
    (version,) = ec2.describe_launch_template_versions(LaunchTemplateId=template["LaunchTemplateId"])[
        "LaunchTemplateVersions"
    ]
    data = version["LaunchTemplateData"]
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert data["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    assert data["BlockDeviceMappings"][0]["Ebs"]["Encrypted"]
    assert "KeyName" not in data
    told = yaml.safe_load(base64.b64decode(data["UserData"]))
    (settings,) = [each["content"].split() for each in told["write_files"] if each["path"].endswith("/bucketzip.env")]
    assert "BUCKETZIP_KNOWN_BUCKETS=photos,reports,archives" in settings
    assert f"BUCKETZIP_STATE_VOLUME={stack['StateVolumeId']}" in settings
    (endpoint,) = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    assert endpoint["ServiceName"] == "com.amazonaws.us-east-1.s3"


def test_an_instance_takes_the_state_over_from_the_one_before_it(
    aws: Aws, stack: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bucketzip.commands.attach_state.LOOK_SECONDS", 0.05)
    ec2, volume = aws.client("ec2"), stack["StateVolumeId"]
    image = ec2.describe_images()["Images"][0]["ImageId"]
    old, new = (each["InstanceId"] for each in ec2.run_instances(ImageId=image, MinCount=2, MaxCount=2)["Instances"])

    def holders() -> list[str]:
        (found,) = ec2.describe_volumes(VolumeIds=[volume])["Volumes"]
        return [each["InstanceId"] for each in found["Attachments"]]

    attach(ec2, volume, old)
    attach(ec2, volume, old)
    assert holders() == [old]
    taking = threading.Thread(target=attach, args=(aws.client("ec2"), volume, new))
    taking.start()
    taking.join(0.3)
    assert taking.is_alive(), "it waits"
    ec2.detach_volume(VolumeId=volume, InstanceId=old)
    taking.join(60)
    assert holders() == [new]
    ec2.detach_volume(VolumeId=volume, InstanceId=new)
    ec2.terminate_instances(InstanceIds=[old, new])


def test_the_state_is_encrypted_and_outlives_the_stack() -> None:
    """Of the template itself: the stand-in forgets it."""
    volume = resources()["StateVolume"]
    assert volume["Properties"]["Encrypted"] is True
    assert volume["DeletionPolicy"] == volume["UpdateReplacePolicy"] == "Snapshot"
