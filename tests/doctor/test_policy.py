"""The policy that is printed: what was refused and no more."""

from itertools import permutations

import pytest

from bucketzip.doctor.policy import Grant, arns_of, policy
from bucketzip.doctor.refusals import is_of_kms, key_refused, refused
from bucketzip.errors import AccessDenied, S3Error, S3Unreachable

KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def test_nothing_missing_is_no_policy() -> None:
    assert policy([]) is None


def test_actions_of_a_resource_and_resources_of_the_same_actions_go_together() -> None:
    grants = [
        Grant("s3:GetObject", "arn:aws:s3:::a/*"),
        Grant("s3:PutObject", "arn:aws:s3:::b/*"),
        Grant("s3:GetObject", "arn:aws:s3:::b/*"),
        Grant("s3:GetObject", "arn:aws:s3:::c/*"),
        Grant("s3:ListBucketVersions", "arn:aws:s3:::a", optional=True),
    ]
    expected = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Needed1",
                "Effect": "Allow",
                "Action": ["s3:GetObject"],
                "Resource": ["arn:aws:s3:::a/*", "arn:aws:s3:::c/*"],
            },
            {
                "Sid": "Needed2",
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:PutObject"],
                "Resource": ["arn:aws:s3:::b/*"],
            },
            {
                "Sid": "Optional3",
                "Effect": "Allow",
                "Action": ["s3:ListBucketVersions"],
                "Resource": ["arn:aws:s3:::a"],
            },
        ],
    }
    for order in permutations(grants):
        assert policy(order) == expected


def test_what_is_needed_is_not_optional_too() -> None:
    needed = Grant("s3:PutObject", "arn:aws:s3:::b/*")
    document = policy([needed._replace(optional=True), needed])
    assert document is not None
    assert [each["Sid"] for each in document["Statement"]] == ["Needed1"]


@pytest.mark.parametrize(
    ("region", "partition"),
    [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("us-east-1", "aws")],
)
def test_resources_are_of_the_region_s_partition(region: str, partition: str) -> None:
    arns = arns_of(region)
    assert arns.bucket("b") == f"arn:{partition}:s3:::b"
    assert arns.objects("b", "out/") == f"arn:{partition}:s3:::b/out/*"


def test_a_refusal_names_the_permission() -> None:
    finding = refused(AccessDenied("denied"), Grant("s3:GetObject", "x/*"), Grant("s3:ListBucket", "x"))
    assert finding.todo == "allow s3:GetObject on x/*; s3:ListBucket on x"
    assert len(finding.missing) == 2


def test_no_permission_helps_against_an_explicit_deny() -> None:
    error = AccessDenied(
        "S3 says AccessDenied, User: u is not authorized to perform: s3:GetObject with an explicit deny in a VPC"
        " endpoint policy"
    )
    finding = refused(error, Grant("s3:GetObject", "x"))
    assert finding.missing == ()
    assert "something denies it explicitly" in finding.todo


def test_other_errors_are_not_about_permissions() -> None:
    with pytest.raises(S3Unreachable):
        refused(S3Unreachable("gone"), Grant("s3:GetObject", "x"))


@pytest.mark.parametrize(
    ("error", "of_kms", "key"),
    [
        (
            AccessDenied(f"User: u is not authorized to perform: kms:Decrypt on resource: {KEY} because no policy"),
            True,
            KEY,
        ),
        (AccessDenied("The ciphertext refers to a customer master key that does not exist"), True, ""),
        (S3Error("S3 says KMS.DisabledException, the key is disabled"), True, ""),
        (AccessDenied("User: u is not authorized to perform: s3:GetObject"), False, ""),
    ],
)
def test_a_key_s_refusal_is_told_from_a_plain_one(error: AccessDenied, of_kms: bool, key: str) -> None:  # noqa: FBT001  -- a parameter of the test
    assert is_of_kms(error) is of_kms
    if of_kms:
        finding = key_refused(error, ("kms:Decrypt",))
        assert finding.missing == ((Grant("kms:Decrypt", key),) if key else ()), "never on all keys"
        assert finding.todo.startswith(f"allow kms:Decrypt on {key or 'the key'}, ")
