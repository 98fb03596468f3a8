// Mongogo uses MongoDB by the official driver.
package main

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/clewtrace/clew/test/clients"
)

func main() {
	ctx := context.Background()
	client, err := mongo.Connect(options.Client().ApplyURI("mongodb://" + clients.Address() + "/").SetMaxPoolSize(1).SetRetryWrites(false))
	clients.Must("connect", err)
	shop := client.Database("go_shop")
	clients.Must("ping", shop.RunCommand(ctx, bson.D{{Key: "ping", Value: 1}}).Err())
	clients.Start()

	write(ctx, shop.Collection("orders"))
	read(ctx, shop.Collection("orders"))
	refused(ctx, shop)
	clients.Must("disconnect", client.Disconnect(ctx))
}

func write(ctx context.Context, orders *mongo.Collection) {
	_, err := orders.InsertOne(ctx, bson.M{"_id": 1, "customer": clients.Value(), "total": 12.5})
	clients.Must("insert", err)
	many := make([]any, 30)
	for i := range many {
		many[i] = bson.M{"_id": 10 + i, "customer": clients.Value(), "total": i}
	}
	_, err = orders.InsertMany(ctx, many)
	clients.Must("insert many", err)
	_, err = orders.InsertOne(ctx, bson.M{"_id": 100, "text": string(make([]byte, 300_000))})
	clients.Must("insert much", err)
	updated, err := orders.UpdateMany(ctx, bson.M{"customer": clients.Value()}, bson.M{"$set": bson.M{"seen": true}})
	clients.Must("update", err)
	clients.Want("update", updated.ModifiedCount, 31)
	deleted, err := orders.DeleteOne(ctx, bson.M{"_id": 39})
	clients.Must("delete", err)
	clients.Want("delete", deleted.DeletedCount, 1)
}

func read(ctx context.Context, orders *mongo.Collection) {
	clients.Must("find one", orders.FindOne(ctx, bson.M{"customer": clients.Value()}).Err())
	clients.Must("find much", orders.FindOne(ctx, bson.M{"_id": 100}).Err())
	cursor, err := orders.Find(ctx, bson.M{"customer": clients.Value()}, options.Find().SetBatchSize(10))
	clients.Must("find", err)
	var all []bson.M
	clients.Must("all", cursor.All(ctx, &all)) // three more batches
	clients.Want("all", len(all), 30)
	n, err := orders.CountDocuments(ctx, bson.M{"customer": clients.Value()})
	clients.Must("count", err)
	clients.Want("count", n, 30)
	cursor, err = orders.Find(ctx, bson.M{}, options.Find().SetBatchSize(2))
	clients.Must("find", err)
	clients.Want("next", cursor.Next(ctx), true)
	clients.Must("kill", cursor.Close(ctx))
}

func refused(ctx context.Context, shop *mongo.Database) {
	_, err := shop.Collection("orders").InsertOne(ctx, bson.M{"_id": 1, "customer": clients.Value()})
	clients.Want("duplicate", mongo.IsDuplicateKeyError(err), true)
	err = shop.RunCommand(ctx, bson.D{{Key: "nosuchcommand", Value: 1}}).Err()
	var refusal mongo.CommandError
	clients.Want("unknown command", errors.As(err, &refusal) && refusal.Code == 59, true)
	err = shop.Collection("orders").FindOne(ctx, bson.M{"$nosuch": clients.Value()}).Err()
	clients.Want("bad value", errors.As(err, &refusal) && refusal.Code == 2, true)
}
