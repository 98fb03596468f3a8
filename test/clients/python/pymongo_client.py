"""Uses MongoDB by pymongo."""

import pymongo
import told
from told import value, want

client = pymongo.MongoClient(told.host, told.port, maxPoolSize=1, retryWrites=False)
shop = client["py_shop"]
shop.command("ping")
told.start()

orders = shop["orders"]
orders.insert_one({"_id": 1, "customer": value, "total": 12.5})
orders.insert_many([{"_id": 10 + i, "customer": value, "total": i} for i in range(30)])
orders.insert_one({"_id": 100, "text": "x" * 300_000})
want("update", orders.update_many({"customer": value}, {"$set": {"seen": True}}).modified_count, 31)
want("delete", orders.delete_one({"_id": 39}).deleted_count, 1)

want("find one", orders.find_one({"customer": value})["customer"], value)
want("find much", len(orders.find_one({"_id": 100})["text"]), 300_000)
want("all", len(list(orders.find({"customer": value}, batch_size=10))), 30)
want("count", orders.count_documents({"customer": value}), 30)
cursor = orders.find({}, batch_size=2)
next(cursor)
cursor.close()


def code(work):
    try:
        work()
    except pymongo.errors.PyMongoError as error:
        return error.code
    return 0


want("duplicate", code(lambda: orders.insert_one({"_id": 1, "customer": value})), 11000)
want("unknown command", code(lambda: shop.command("nosuchcommand")), 59)
want("bad value", code(lambda: orders.find_one({"$nosuch": value})), 2)
client.close()
