"""A stand-in for a Qdrant server, of Qdrant's own Python client: its models read what we send and write what we read,
its local mode answers. It makes `qdrant.json`:

    pip install qdrant-client==1.20.0
    python3 client/tests/tapes/qdrant.py 6333 &
    rm client/tests/tapes/qdrant.json
    QWENDA_RECORD_QDRANT=http://127.0.0.1:6333 cargo test -p qwenda --lib qdrant

A real server at that address does as well.
"""

import json
import re
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from qdrant_client import QdrantClient
from qdrant_client.http import models as m

client = QdrantClient(":memory:")


def strictly(model, body):
    unknown = set(body) - set(model.model_fields)
    assert not unknown, f"{model.__name__} has no {unknown}"
    return model.model_validate(body)


def answer(method, path, body):
    name = re.fullmatch(r"/collections/([^/]+)(/.*)?", path)
    collection, rest = name[1], name[2] or ""
    there = client.collection_exists(collection)
    if (method, rest) == ("PUT", ""):
        assert not there
        return client.create_collection(collection, vectors_config=strictly(m.CreateCollection, body).vectors)
    if not there:
        return None
    match method, rest:
        case "GET", "":
            return client.get_collection(collection)
        case "DELETE", "":
            return client.delete_collection(collection)
        case "PUT", "/index?wait=true":
            index = strictly(m.CreateFieldIndex, body)
            assert index.field_schema == m.PayloadSchemaType.KEYWORD
            return m.UpdateResult(operation_id=0, status=m.UpdateStatus.COMPLETED)
        case "PUT", "/points?wait=true":
            return client.upsert(collection, strictly(m.PointsList, body).points)
        case "POST", "/points/query":
            query = strictly(m.QueryRequest, body)
            return client.query_points(
                collection, query=query.query, query_filter=query.filter, limit=query.limit, with_payload=query.with_payload
            )
        case "POST", "/points":
            points = strictly(m.PointRequest, body)
            return client.retrieve(
                collection, points.ids, with_payload=points.with_payload, with_vectors=points.with_vector
            )
        case "POST", "/points/count":
            count = strictly(m.CountRequest, body)
            return client.count(collection, count_filter=count.filter, exact=count.exact)
        case "POST", "/points/delete?wait=true":
            selected = strictly(m.PointIdsList if "points" in body else m.FilterSelector, body)
            return client.delete(collection, points_selector=selected)
    raise AssertionError(f"{method} {path}")


class Handler(BaseHTTPRequestHandler):
    def do(self):
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length) or b"null")
        try:
            result = answer(self.command, self.path, body)
            status = 404 if result is None else 200
        except (AssertionError, ValueError) as error:
            status, result = 400, error
        if status == 200:
            plain = json.loads(json.dumps(result, default=lambda model: model.model_dump(mode="json")))
            said = {"result": plain, "status": "ok", "time": 0.0}
        else:
            said = {"status": {"error": str(result or "Not found: the collection doesn't exist!")}, "time": 0.0}
        text = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = do

    def log_message(self, *_):
        pass


HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
