"""Makes a database with so many keys and writes them down, one a line: python make.py COUNT LIST."""

import sys

import service  # noqa: F401  (configures Django)
from django.core.management import call_command
from rest_framework_api_key.models import APIKey

count, path = int(sys.argv[1]), sys.argv[2]
call_command("migrate", verbosity=0)
rows, values = [], []
for number in range(count):
    row = APIKey(name=f"Bench {number}")
    values.append(APIKey.objects.assign_key(row))
    rows.append(row)
APIKey.objects.bulk_create(rows, batch_size=500)
with open(path, "w", encoding="ascii") as file:
    file.write("\n".join(values) + "\n")
