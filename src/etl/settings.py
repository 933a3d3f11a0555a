"""The settings of one process, typed, read once from the environment."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from etl.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
"""The checkout; in an installed package the folder that holds `lib`, where nothing of
ours is, so an image sets ETL_RAW_DIR and ETL_LOCK_FILE."""

DATABASE_SCHEMES = ("postgresql", "postgresql+psycopg", "postgres")


class LockSettings(BaseSettings):
    """Which lock the environment was made from.

    Attributes:
        etl_lock_file: None or a path where no file is means unknown.
    """

    model_config = SettingsConfigDict(
        frozen=True, hide_input_in_errors=True, env_ignore_empty=True
    )

    etl_lock_file: Path | None = ROOT / "requirements.lock"


class Settings(LockSettings):
    """The settings of a run. Made by `load_settings`.

    Attributes:
        database_url: `postgresql+psycopg://user:pw@host:port/db` or
            `postgresql+psycopg://user@/db?host=/socket/dir`.
        etl_home: The stack's state folder; only a default for `etl_raw_dir`.
        etl_raw_dir: Raw files by content; None means `raw` in `etl_home`.
        etl_keep_days: Days after which `./etl prune` removes what nothing refers to.
        usda_nass_api_key: Needed for the input "api" only.
        nass_api_url: Where QuickStats answers.
        nass_api_pause_s: Seconds between two requests to it.
        nass_api_budget_s: Seconds after which a request is no longer retried.
    """

    database_url: SecretStr
    etl_home: Path = ROOT / ".etl"
    etl_raw_dir: Path | None = None
    etl_keep_days: int = Field(default=365, ge=1)
    usda_nass_api_key: SecretStr | None = None
    nass_api_url: str = "https://quickstats.nass.usda.gov/api"
    nass_api_pause_s: float = Field(default=0.5, ge=0)
    nass_api_budget_s: float = Field(default=300, gt=0)

    @property
    def raw_dir(self) -> Path:
        """The folder of the raw store."""
        return self.etl_raw_dir or self.etl_home / "raw"

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, url: SecretStr) -> SecretStr:
        scheme = url.get_secret_value().partition("://")[0]
        if scheme not in DATABASE_SCHEMES:
            raise ValueError("wants postgresql+psycopg://user:password@host:port/name")
        return url


def load_settings() -> Settings:
    """Read the environment.

    Raises:
        ConfigError: A variable is missing or wrong; its value is never in the message.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(
            f"{str(problem['loc'][0]).upper()}: {problem['msg']}"
            for problem in error.errors(include_input=False)
        )
        raise ConfigError(
            f"settings: {problems}",
            "set the variable, or start the program by ./etl, which derives it",
        ) from None


def lock_digest() -> str:
    """Return the SHA-256 of the environment's lock; "unknown" if there is none."""
    lock = LockSettings().etl_lock_file
    if lock is None or not lock.is_file():
        return "unknown"
    return hashlib.sha256(lock.read_bytes()).hexdigest()
