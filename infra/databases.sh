#!/usr/bin/env bash
# Makes the two databases and their owners; PostgreSQL's image runs it once, on an empty volume.
set -euo pipefail
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
SET log_min_error_statement = panic; -- a password is never logged
\getenv mlflow MLFLOW_DATABASE_PASSWORD
\getenv prefect PREFECT_DATABASE_PASSWORD
CREATE ROLE mlflow LOGIN PASSWORD :'mlflow';
CREATE ROLE prefect LOGIN PASSWORD :'prefect';
CREATE DATABASE mlflow OWNER mlflow;
CREATE DATABASE prefect OWNER prefect;
REVOKE ALL ON DATABASE mlflow FROM PUBLIC;
REVOKE ALL ON DATABASE prefect FROM PUBLIC;
SQL
