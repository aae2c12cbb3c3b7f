"""The published PyPI client, unmodified, managing the keys of a business."""

import base64
import json
import os
import unittest

from codat_platform import CodatPlatform
from codat_platform.models import errors, shared

URL = os.environ["TROUSSEAU_TEST_URL"]
FIRST = json.loads(os.environ["TROUSSEAU_TEST_BUSINESS"])["keys"][0]


def basic(key):
    return "Basic " + base64.b64encode(key.encode()).decode()


def client(header):
    # Without retries: a refusal must arrive at once.
    return CodatPlatform(security=shared.Security(auth_header=header), server_url=URL, retry_config=None)


class Keys(unittest.TestCase):
    def setUp(self):
        self.codat = client(basic(FIRST["value"]))

    def keys(self):
        return self.codat.settings.list_api_keys().results

    def refused(self, status, call, *arguments, **named):
        with self.assertRaises(errors.CodatPlatformError) as caught:
            call(*arguments, **named)
        self.assertEqual(caught.exception.status_code, status)
        return caught.exception

    def delete(self, key_id, status=204):
        # The client's own model of a deletion expects a body that a 204 cannot have: it raises after the success.
        return self.refused(status, self.codat.settings.delete_api_key, request={"api_key_id": key_id})

    def test_a_first_key_with_its_value(self):
        keys = self.keys()
        self.assertEqual([key.api_key for key in keys], [FIRST["value"]])
        self.assertEqual(FIRST["authorization"], basic(FIRST["value"]))

    def test_create_use_and_delete(self):
        named = self.codat.settings.create_api_key(request={"name": "invoice-job"})
        self.assertEqual(named.name, "invoice-job")
        nameless = self.codat.settings.create_api_key()
        self.assertEqual(len(client(basic(named.api_key)).settings.list_api_keys().results), 3)
        self.delete(named.id)
        self.delete(nameless.id)
        self.assertEqual(len(self.keys()), 1)

    def test_the_last_key_stays(self):
        self.delete(self.keys()[0].id, status=409)
        self.assertEqual(len(self.keys()), 1)

    def test_the_eleventh_key(self):
        made = [self.codat.settings.create_api_key(request={"name": f"key {count}"}) for count in range(2, 11)]
        refusal = self.refused(409, self.codat.settings.create_api_key, request={"name": "one too many"})
        self.assertIsInstance(refusal, errors.ErrorMessage)
        for key in made:
            self.delete(key.id)

    def test_a_wrong_key(self):
        wrong = ("y" if FIRST["value"][0] == "x" else "x") + FIRST["value"][1:]
        for header in [basic(wrong), "Basic " + FIRST["value"], "Bearer " + FIRST["value"]]:
            refusal = self.refused(401, client(header).settings.list_api_keys)
            self.assertIsInstance(refusal, errors.ErrorMessage)

    def test_an_unknown_id(self):
        self.delete("00000000-0000-0000-0000-000000000000", status=404)


if __name__ == "__main__":
    unittest.main()
