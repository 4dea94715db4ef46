"""What pages of Dagster's UI (1.13) ask that grows with partitions: fields of its own queries, without decoration."""

from __future__ import annotations

from typing import Any

LINEAGE = """query { repositoriesOrError { ... on RepositoryConnection { nodes { assetNodes {
  id assetKey { path } groupName kinds isPartitioned description opNames dependencyKeys { path }
  dependedByKeys { path } partitionDefinition { name description } assetChecksOrError { ... on AssetChecks { checks {
  name } } } } } } } }"""
HEALTH = """query AssetHealthQuery($keys: [AssetKeyInput!]!) { assetsOrError(assetKeys: $keys) {
  ... on AssetConnection { nodes { id latestMaterializationTimestamp latestFailedToMaterializeTimestamp assetHealth {
    assetHealth materializationStatus assetChecksStatus freshnessStatus
    materializationStatusMetadata {
      ... on AssetHealthMaterializationHealthyPartitionedMeta { numMissingPartitions totalNumPartitions } }
    assetChecksStatusMetadata { ... on AssetHealthCheckDegradedMeta { numFailedChecks } } } } }
  ... on PythonError { message } } }"""
LIVE = """query AssetGraphLiveQuery($keys: [AssetKeyInput!]!) {
  assetNodes(assetKeys: $keys, loadMaterializations: true) { id opNames
    assetMaterializations(limit: 1) { timestamp runId }
    partitionStats { numMaterialized numMaterializing numPartitions numFailed }
    assetChecksOrError { ... on AssetChecks { checks { name
      executionForLatestMaterialization { id status runId evaluation { severity } } } } } }
  assetsLatestInfo(assetKeys: $keys) { id unstartedRunIds inProgressRunIds latestRun { id status } } }"""
STALE = """query AssetStaleStatusDataQuery($keys: [AssetKeyInput!]!) { assetNodes(assetKeys: $keys) {
  id staleStatus staleCauses { category reason } } }"""
PARTITIONS = """query PartitionHealthQuery($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) {
  ... on AssetNode { id partitionKeysByDimension { name type partitionKeys } assetPartitionStatuses {
    ... on DefaultPartitionStatuses { materializedPartitions materializingPartitions failedPartitions } } } } }"""
CHECKS = """query AssetChecksQuery($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode { id
  assetChecksOrError { ... on AssetChecks { checks { name description
    executionForLatestMaterialization { id status runId timestamp evaluation { severity description } }
    partitionKeysByDimension { partitionKeys }
    partitionStatuses { ... on AssetCheckDefaultPartitionStatuses {
      succeededPartitions failedPartitions inProgressPartitions skippedPartitions executionFailedPartitions } }
  } } } } } }"""
SHARD = """query AssetPartitionDetailQuery($key: AssetKeyInput!, $shard: String!) { assetNodeOrError(assetKey: $key) {
  ... on AssetNode { id staleStatus(partition: $shard) latestRunForPartition(partition: $shard) { id status }
    latestMaterializationByPartition(partitions: [$shard]) { timestamp runId metadataEntries { label } } } } }"""
BACKFILL = """query BackfillDetailsQuery($id: String!) { partitionBackfillOrError(backfillId: $id) {
  ... on PartitionBackfill { id status numPartitions assetBackfillData { assetBackfillStatuses {
    ... on AssetPartitionsStatusCounts { assetKey { path } numPartitionsTargeted numPartitionsInProgress
      numPartitionsMaterialized numPartitionsFailed } } } } } }"""


def pages(keys: list[dict[str, Any]], asset: str) -> list[tuple[str, str, dict[str, Any]]]:
    """(what a person looks at, query, variables).

    Args:
        keys: of all assets.
        asset: one of shards.
    """
    one = {"key": {"path": [asset]}}
    return [
        ("lineage, its assets", LINEAGE, {}),
        ("lineage, their health", HEALTH, {"keys": keys}),
        ("lineage, latest runs, partitions and checks", LIVE, {"keys": keys}),
        ("lineage, what is stale", STALE, {"keys": keys}),
        ("partitions of an asset", PARTITIONS, one),
        ("checks of an asset", CHECKS, one),
        ("one shard of an asset", SHARD, {**one, "shard": "00001"}),
    ]
