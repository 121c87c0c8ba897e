"""Signing in: login, refresh, register, and who one is."""

from collections.abc import Mapping
import hmac

from sandbox.answers import Answer, failure, ok, problem
from sandbox.context import Call, Context
from sandbox.json_reader import Json
from sandbox.records import User
from sandbox.security import ACCESS_S, REFRESH_S, REMEMBERED_REFRESH_S, InvalidToken

_REGISTRATION = ("username", "email", "password", "firstName", "lastName")
_FIELD_LENGTHS = {"username": (3, 100), "password": (6, 100)}


def _signed_in(context: Context, user: User, *, refresh_s: int = REFRESH_S) -> Answer:
    """Answer with new tokens."""
    issue = context.security.issue
    return ok(
        {
            "accessToken": issue(user.username, kind="access", lifetime_s=ACCESS_S),
            "refreshToken": issue(user.username, kind="refresh", lifetime_s=refresh_s),
            "tokenType": "Bearer",
            "userId": user.id,
            "username": user.username,
            "email": user.email,
            "organizationId": user.organization_id,
        }
    )


def _texts(members: Mapping[str, Json], *names: str) -> dict[str, str]:
    """Return the fields that are texts and not blank."""
    return {
        name: value
        for name in names
        if isinstance(value := members.get(name), str) and value.strip()
    }


def _missing(texts: Mapping[str, str], *names: str) -> dict[str, str]:
    """Return what validation says about each field that is not there."""
    return {name: f"{name} is required" for name in names if name not in texts}


def _validation_failed(call: Call, errors: dict[str, str]) -> Answer:
    """Answer 400 with a text for each field."""
    return problem(
        400,
        call.path,
        title="Validation Failed",
        detail="One or more fields are invalid.",
        error_type="MethodArgumentNotValidException",
        errors=errors,
    )


async def login(call: Call) -> Answer:
    """Exchange a name or e-mail address and a password for tokens."""
    members = call.json_object()
    texts = _texts(members, "username", "password")
    if errors := _missing(texts, "username", "password"):
        return _validation_failed(call, errors)
    store, name = call.context.store, texts["username"]
    user = store.user("username", name) or store.user("email", name)
    given = texts["password"].encode(errors="replace")
    if user is None or not hmac.compare_digest(user.password.encode(), given):
        return _bad_credentials(call)
    is_remembered = members.get("rememberMe") is True
    refresh_s = REMEMBERED_REFRESH_S if is_remembered else REFRESH_S
    return _signed_in(call.context, user, refresh_s=refresh_s)


def _bad_credentials(call: Call) -> Answer:
    """Refuse a name or a password."""
    return problem(
        401,
        call.path,
        detail="Invalid username or password",
        error_type="BadCredentialsException",
    )


async def refresh(call: Call) -> Answer:
    """Exchange a refresh token for two new tokens."""
    token = str(call.json_object().get("refreshToken"))
    try:
        claims = call.context.security.claims(token)
    except InvalidToken:
        return _bad_refresh(call)
    user = call.context.store.user("username", claims["sub"])
    if user is None or claims.get("type") != "refresh":
        return _bad_refresh(call)
    return _signed_in(call.context, user)


def _bad_refresh(call: Call) -> Answer:
    """Refuse a refresh token."""
    return problem(400, call.path, detail="Invalid refresh token")


async def register(call: Call) -> Answer:
    """Make an account; an existing organisation is joined, a missing one is made."""
    texts = _texts(call.json_object(), *_REGISTRATION, "organizationName")
    errors = _missing(texts, *_REGISTRATION)
    for name, (shortest, longest) in _FIELD_LENGTHS.items():
        if name not in errors and not shortest <= len(texts[name]) <= longest:
            errors[name] = f"{name} must be {shortest} to {longest} characters long"
    if errors:
        return _validation_failed(call, errors)
    store, username, email = call.context.store, texts["username"], texts["email"]
    if store.user("username", username) or store.user("email", email):
        return problem(400, call.path, detail="Username or email is already in use")
    organization = texts.get("organizationName", f"{username}'s Organization")
    with store.transaction():
        store.add_user(
            organization_id=store.organization_id(organization),
            username=username,
            email=email,
            password=texts["password"],
            first_name=texts["firstName"],
            last_name=texts["lastName"],
        )
    user = store.user("username", username)
    return _signed_in(call.context, user) if user else _bad_credentials(call)


async def me(call: Call) -> Answer:
    """Describe the user who is asking."""
    caller = call.user()
    if caller.by_key:
        return failure(call.path, "ClassCastException")
    user = caller.user
    return ok(
        {
            "id": user.id,
            "username": user.username,
            "email": user.email,
            "firstName": user.first_name,
            "lastName": user.last_name,
            "organizationId": user.organization_id,
            "organizationName": user.organization,
            "roles": ["ROLE_USER"],
            "enabled": True,
        }
    )
