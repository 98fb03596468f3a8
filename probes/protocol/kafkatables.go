package protocol

import "strconv"

// kafkaAPI is what must be known of a kind of request to read it.
type kafkaAPI struct {
	flexible int16 // first version with fields of variable length; -1: none
	newest   int16 // version that is known here
}

// kafkaAPIs are those kinds, by their keys.
var kafkaAPIs = [...]kafkaAPI{
	0:  {9, 13},  // Produce
	1:  {12, 18}, // Fetch
	2:  {6, 11},  // ListOffsets
	3:  {9, 13},  // Metadata
	4:  {4, 7},   // LeaderAndISR
	5:  {2, 4},   // StopReplica
	6:  {6, 8},   // UpdateMetadata
	7:  {3, 3},   // ControlledShutdown
	8:  {8, 10},  // OffsetCommit
	9:  {6, 10},  // OffsetFetch
	10: {3, 6},   // FindCoordinator
	11: {6, 9},   // JoinGroup
	12: {4, 4},   // Heartbeat
	13: {4, 5},   // LeaveGroup
	14: {4, 5},   // SyncGroup
	15: {5, 6},   // DescribeGroups
	16: {3, 5},   // ListGroups
	17: {-1, 1},  // SASLHandshake
	18: {3, 5},   // ApiVersions
	19: {5, 7},   // CreateTopics
	20: {4, 6},   // DeleteTopics
	21: {2, 2},   // DeleteRecords
	22: {2, 5},   // InitProducerID
	23: {4, 4},   // OffsetForLeaderEpoch
	24: {3, 5},   // AddPartitionsToTxn
	25: {3, 4},   // AddOffsetsToTxn
	26: {3, 5},   // EndTxn
	27: {1, 2},   // WriteTxnMarkers
	28: {3, 6},   // TxnOffsetCommit
	29: {2, 3},   // DescribeACLs
	30: {2, 3},   // CreateACLs
	31: {2, 3},   // DeleteACLs
	32: {4, 4},   // DescribeConfigs
	33: {2, 2},   // AlterConfigs
	34: {2, 2},   // AlterReplicaLogDirs
	35: {2, 5},   // DescribeLogDirs
	36: {2, 2},   // SASLAuthenticate
	37: {2, 3},   // CreatePartitions
	38: {2, 3},   // CreateDelegationToken
	39: {2, 2},   // RenewDelegationToken
	40: {2, 2},   // ExpireDelegationToken
	41: {2, 3},   // DescribeDelegationToken
	42: {2, 3},   // DeleteGroups
	43: {2, 2},   // ElectLeaders
	44: {1, 1},   // IncrementalAlterConfigs
	45: {0, 1},   // AlterPartitionAssignments
	46: {0, 0},   // ListPartitionReassignments
	47: {-1, 0},  // OffsetDelete
	48: {1, 1},   // DescribeClientQuotas
	49: {1, 1},   // AlterClientQuotas
	50: {0, 0},   // DescribeUserSCRAMCredentials
	51: {0, 0},   // AlterUserSCRAMCredentials
	52: {0, 2},   // Vote
	53: {1, 1},   // BeginQuorumEpoch
	54: {1, 1},   // EndQuorumEpoch
	55: {0, 2},   // DescribeQuorum
	56: {0, 3},   // AlterPartition
	57: {0, 2},   // UpdateFeatures
	58: {0, 0},   // Envelope
	59: {0, 1},   // FetchSnapshot
	60: {0, 2},   // DescribeCluster
	61: {0, 0},   // DescribeProducers
	62: {0, 4},   // BrokerRegistration
	63: {0, 2},   // BrokerHeartbeat
	64: {0, 0},   // UnregisterBroker
	65: {0, 0},   // DescribeTransactions
	66: {0, 2},   // ListTransactions
	67: {0, 0},   // AllocateProducerIDs
	68: {0, 1},   // ConsumerGroupHeartbeat
	69: {0, 1},   // ConsumerGroupDescribe
	70: {0, 0},   // ControllerRegistration
	71: {0, 0},   // GetTelemetrySubscriptions
	72: {0, 0},   // PushTelemetry
	73: {0, 0},   // AssignReplicasToDirs
	74: {0, 1},   // ListConfigResources
	75: {0, 0},   // DescribeTopicPartitions
	76: {0, 1},   // ShareGroupHeartbeat
	77: {0, 1},   // ShareGroupDescribe
	78: {0, 2},   // ShareFetch
	79: {0, 2},   // ShareAcknowledge
	80: {0, 1},   // AddRaftVoter
	81: {0, 0},   // RemoveRaftVoter
	82: {0, 0},   // UpdateRaftVoter
	83: {0, 0},   // InitializeShareGroupState
	84: {0, 0},   // ReadShareGroupState
	85: {0, 1},   // WriteShareGroupState
	86: {0, 0},   // DeleteShareGroupState
	87: {0, 1},   // ReadShareGroupStateSummary
	88: {0, 1},   // StreamsGroupHeartbeat
	89: {0, 1},   // StreamsGroupDescribe
	90: {0, 1},   // DescribeShareGroupOffsets
	91: {0, 0},   // AlterShareGroupOffsets
	92: {0, 0},   // DeleteShareGroupOffsets
	93: {0, 0},   // StreamsGroupTopologyDescriptionUpdate
	94: {0, 0},   // UnregisterController
}

// kafkaErrors are the protocol's names of its errors, by their codes.
var kafkaErrors = [...]string{
	1:   "OFFSET_OUT_OF_RANGE",
	2:   "CORRUPT_MESSAGE",
	3:   "UNKNOWN_TOPIC_OR_PARTITION",
	4:   "INVALID_FETCH_SIZE",
	5:   "LEADER_NOT_AVAILABLE",
	6:   "NOT_LEADER_OR_FOLLOWER",
	7:   "REQUEST_TIMED_OUT",
	8:   "BROKER_NOT_AVAILABLE",
	9:   "REPLICA_NOT_AVAILABLE",
	10:  "MESSAGE_TOO_LARGE",
	11:  "STALE_CONTROLLER_EPOCH",
	12:  "OFFSET_METADATA_TOO_LARGE",
	13:  "NETWORK_EXCEPTION",
	14:  "COORDINATOR_LOAD_IN_PROGRESS",
	15:  "COORDINATOR_NOT_AVAILABLE",
	16:  "NOT_COORDINATOR",
	17:  "INVALID_TOPIC_EXCEPTION",
	18:  "RECORD_LIST_TOO_LARGE",
	19:  "NOT_ENOUGH_REPLICAS",
	20:  "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
	21:  "INVALID_REQUIRED_ACKS",
	22:  "ILLEGAL_GENERATION",
	23:  "INCONSISTENT_GROUP_PROTOCOL",
	24:  "INVALID_GROUP_ID",
	25:  "UNKNOWN_MEMBER_ID",
	26:  "INVALID_SESSION_TIMEOUT",
	27:  "REBALANCE_IN_PROGRESS",
	28:  "INVALID_COMMIT_OFFSET_SIZE",
	29:  "TOPIC_AUTHORIZATION_FAILED",
	30:  "GROUP_AUTHORIZATION_FAILED",
	31:  "CLUSTER_AUTHORIZATION_FAILED",
	32:  "INVALID_TIMESTAMP",
	33:  "UNSUPPORTED_SASL_MECHANISM",
	34:  "ILLEGAL_SASL_STATE",
	35:  "UNSUPPORTED_VERSION",
	36:  "TOPIC_ALREADY_EXISTS",
	37:  "INVALID_PARTITIONS",
	38:  "INVALID_REPLICATION_FACTOR",
	39:  "INVALID_REPLICA_ASSIGNMENT",
	40:  "INVALID_CONFIG",
	41:  "NOT_CONTROLLER",
	42:  "INVALID_REQUEST",
	43:  "UNSUPPORTED_FOR_MESSAGE_FORMAT",
	44:  "POLICY_VIOLATION",
	45:  "OUT_OF_ORDER_SEQUENCE_NUMBER",
	46:  "DUPLICATE_SEQUENCE_NUMBER",
	47:  "INVALID_PRODUCER_EPOCH",
	48:  "INVALID_TXN_STATE",
	49:  "INVALID_PRODUCER_ID_MAPPING",
	50:  "INVALID_TRANSACTION_TIMEOUT",
	51:  "CONCURRENT_TRANSACTIONS",
	52:  "TRANSACTION_COORDINATOR_FENCED",
	53:  "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
	54:  "SECURITY_DISABLED",
	55:  "OPERATION_NOT_ATTEMPTED",
	56:  "KAFKA_STORAGE_ERROR",
	57:  "LOG_DIR_NOT_FOUND",
	58:  "SASL_AUTHENTICATION_FAILED",
	59:  "UNKNOWN_PRODUCER_ID",
	60:  "REASSIGNMENT_IN_PROGRESS",
	61:  "DELEGATION_TOKEN_AUTH_DISABLED",
	62:  "DELEGATION_TOKEN_NOT_FOUND",
	63:  "DELEGATION_TOKEN_OWNER_MISMATCH",
	64:  "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED",
	65:  "DELEGATION_TOKEN_AUTHORIZATION_FAILED",
	66:  "DELEGATION_TOKEN_EXPIRED",
	67:  "INVALID_PRINCIPAL_TYPE",
	68:  "NON_EMPTY_GROUP",
	69:  "GROUP_ID_NOT_FOUND",
	70:  "FETCH_SESSION_ID_NOT_FOUND",
	71:  "INVALID_FETCH_SESSION_EPOCH",
	72:  "LISTENER_NOT_FOUND",
	73:  "TOPIC_DELETION_DISABLED",
	74:  "FENCED_LEADER_EPOCH",
	75:  "UNKNOWN_LEADER_EPOCH",
	76:  "UNSUPPORTED_COMPRESSION_TYPE",
	77:  "STALE_BROKER_EPOCH",
	78:  "OFFSET_NOT_AVAILABLE",
	79:  "MEMBER_ID_REQUIRED",
	80:  "PREFERRED_LEADER_NOT_AVAILABLE",
	81:  "GROUP_MAX_SIZE_REACHED",
	82:  "FENCED_INSTANCE_ID",
	83:  "ELIGIBLE_LEADERS_NOT_AVAILABLE",
	84:  "ELECTION_NOT_NEEDED",
	85:  "NO_REASSIGNMENT_IN_PROGRESS",
	86:  "GROUP_SUBSCRIBED_TO_TOPIC",
	87:  "INVALID_RECORD",
	88:  "UNSTABLE_OFFSET_COMMIT",
	89:  "THROTTLING_QUOTA_EXCEEDED",
	90:  "PRODUCER_FENCED",
	91:  "RESOURCE_NOT_FOUND",
	92:  "DUPLICATE_RESOURCE",
	93:  "UNACCEPTABLE_CREDENTIAL",
	94:  "INCONSISTENT_VOTER_SET",
	95:  "INVALID_UPDATE_VERSION",
	96:  "FEATURE_UPDATE_FAILED",
	97:  "PRINCIPAL_DESERIALIZATION_FAILURE",
	98:  "SNAPSHOT_NOT_FOUND",
	99:  "POSITION_OUT_OF_RANGE",
	100: "UNKNOWN_TOPIC_ID",
	101: "DUPLICATE_BROKER_REGISTRATION",
	102: "BROKER_ID_NOT_REGISTERED",
	103: "INCONSISTENT_TOPIC_ID",
	104: "INCONSISTENT_CLUSTER_ID",
	105: "TRANSACTIONAL_ID_NOT_FOUND",
	106: "FETCH_SESSION_TOPIC_ID_ERROR",
	107: "INELIGIBLE_REPLICA",
	108: "NEW_LEADER_ELECTED",
	109: "OFFSET_MOVED_TO_TIERED_STORAGE",
	110: "FENCED_MEMBER_EPOCH",
	111: "UNRELEASED_INSTANCE_ID",
	112: "UNSUPPORTED_ASSIGNOR",
	113: "STALE_MEMBER_EPOCH",
	114: "MISMATCHED_ENDPOINT_TYPE",
	115: "UNSUPPORTED_ENDPOINT_TYPE",
	116: "UNKNOWN_CONTROLLER_ID",
	117: "UNKNOWN_SUBSCRIPTION_ID",
	118: "TELEMETRY_TOO_LARGE",
	119: "INVALID_REGISTRATION",
	120: "TRANSACTION_ABORTABLE",
	121: "INVALID_RECORD_STATE",
	122: "SHARE_SESSION_NOT_FOUND",
	123: "INVALID_SHARE_SESSION_EPOCH",
	124: "FENCED_STATE_EPOCH",
	125: "INVALID_VOTER_KEY",
	126: "DUPLICATE_VOTER",
	127: "VOTER_NOT_FOUND",
	128: "INVALID_REGULAR_EXPRESSION",
	129: "REBOOTSTRAP_REQUIRED",
	130: "STREAMS_INVALID_TOPOLOGY",
	131: "STREAMS_INVALID_TOPOLOGY_EPOCH",
	132: "STREAMS_TOPOLOGY_FENCED",
	133: "SHARE_SESSION_LIMIT_REACHED",
	134: "GROUP_DELETION_FAILED",
	135: "STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED",
	136: "CONTROLLER_ID_NOT_REGISTERED",
}

// kafkaErrorName returns what a code is called, the number of one not known.
func kafkaErrorName(code int16) string {
	switch {
	case code == -1:
		return "UNKNOWN_SERVER_ERROR"
	case code > 0 && int(code) < len(kafkaErrors):
		return kafkaErrors[code]
	}
	return strconv.Itoa(int(code))
}
