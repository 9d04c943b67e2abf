"""Who asks: decided once a request, by `auth.py`, and used by all handlers."""

from dataclasses import dataclass

from wcmatch import fnmatch

from bucketzip.state.users import Role, User

__all__ = ["TRUSTED", "Caller", "Role", "caller_of"]


@dataclass(frozen=True)
class Caller:
    """A user, or a machine of a trusted network."""

    owner: str
    """Stands on the links and jobs that are made: the user's key, or what stands for a trusted network."""
    role: Role
    buckets: tuple[str, ...] = ("*",)
    """Globs; only buckets that one of them matches may be named."""

    def may_use(self, bucket: str) -> bool:
        """Whether the bucket may be named in a request."""
        return fnmatch.fnmatch(bucket, self.buckets)

    @property
    def named_buckets(self) -> list[str]:
        """Those that are named in full, and so are known without asking S3."""
        return [each for each in self.buckets if not fnmatch.is_magic(each)]

    def may_see(self, owner: str) -> bool:
        """Whether what this owner made is to be seen and ended by this caller."""
        return self.role is Role.ADMIN or owner == self.owner

    @property
    def sees(self) -> str | None:
        """Whose links and jobs a listing has; None for everybody's."""
        return None if self.role is Role.ADMIN else self.owner


TRUSTED = Caller("trusted", Role.USER)


def caller_of(user: User) -> Caller:
    """A user who asks."""
    return Caller(user.user_key, user.role, user.buckets)
